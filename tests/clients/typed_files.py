"""HDF5 files and zarr stores with elements of every type that h5py and zarr-python write."""

import ctypes
import glob
import os

import h5py
import numpy
import zarr
from zarr.dtype import VariableLengthBytes

COLOURS = {"RED": 0, "GREEN": 1, "BLUE": -2}


def numbers(shape, dtype):
    """Numbers that use several bytes of the type."""
    count = int(numpy.prod(shape))
    dtype = numpy.dtype(dtype)
    values = numpy.arange(count, dtype="i8") * 40503 - 12345
    if dtype.kind == "c":
        return (values / 7 + 1j * values[::-1] / 3).astype(dtype).reshape(shape)
    return (values / 7 if dtype.kind == "f" else values).astype(dtype).reshape(shape)


def objects(items, shape=None):
    """An object array of `items`, which may be arrays."""
    array = numpy.empty(len(items), dtype=object)
    array[:] = items
    return array if shape is None else array.reshape(shape)


def hdf5_types(path, libver):
    """Datasets of every element type, in several shapes and layouts."""
    with h5py.File(path, "w", libver=libver) as file:
        for order in "<>":
            plain(file.create_group("little" if order == "<" else "big"), order)
        sequences(file)
        references(file)
        bits(file)
        for name, kind in [("null", "f4"), ("null_text", h5py.string_dtype()), ("null_complex", "c8")]:
            file[name] = h5py.Empty(kind)
        file["times"] = numpy.array(["2020-01-01T01", "NaT", "1969-12-31T23"], "M8[us]").astype(h5py.opaque_dtype("M8[us]"))
        file["spans"] = numpy.array([5, "NaT"], "m8[ns]").astype(h5py.opaque_dtype("m8[ns]"))
        attributes(file.create_group("attributes"))


def plain(group, order):
    """Types of fixed size in one byte order."""
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"):
        group[kind] = numbers((4, 3), order + kind)
        group.create_dataset(f"{kind}_chunked", data=numbers((7,), order + kind), chunks=(3,), compression="gzip")
        group[f"{kind}_scalar"] = numbers((1,), order + kind)[0]
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2"):
        members = {name: abs(value) if kind[0] == "u" else value for name, value in COLOURS.items()}
        dtype = h5py.enum_dtype(members, basetype=order + kind)
        data = numpy.array([[0, 1, 2], [2, 1, 0]]) if kind[0] == "u" else numpy.array([[0, 1, -2], [-2, 1, 0]])
        group.create_dataset(f"enum_{kind}", data=data.astype(order + kind), dtype=dtype)
        group.create_dataset(f"enum_{kind}_scalar", data=data[0, 1].astype(order + kind), dtype=dtype)
    group["bool"] = numpy.array([True, False, True])
    bool_reversed = h5py.enum_dtype({"TRUE": 1, "FALSE": 0}, basetype=order + "u1")
    group.create_dataset("bool_reversed", data=numpy.array([1, 0], "u1"), dtype=bool_reversed)
    half = numpy.dtype([("r", order + "f2"), ("i", order + "f2")])
    group["compound_half"] = numpy.array([(1.5, -2), (0.25, 65504)], half)
    named = numpy.dtype([("re", order + "f4"), ("im", order + "f4")])
    group["compound_named"] = numpy.array([(1.5, -2), (0.25, 4)], named)
    colour = h5py.enum_dtype(COLOURS, basetype=order + "i2")
    inner = numpy.dtype([("z", order + "c16"), ("c", colour), ("b", "?")])
    dtype = numpy.dtype([("a", order + "i4"), ("n", inner), ("v", order + "c8", (2, 2)), ("s", "S3"), ("e", colour, (3,))])
    rows = numpy.zeros(5, dtype)
    rows["a"], rows["n"]["z"], rows["n"]["c"], rows["v"] = numbers(5, "i4"), numbers(5, "c16"), 1, numbers((5, 2, 2), "c8")
    rows["s"], rows["e"], rows["n"]["b"] = [b"a", b"bc", b"", b"def", b"x"], [0, 1, -2], [True, False, True, True, False]
    group["compound"] = rows
    group.create_dataset("compound_chunked", data=rows, chunks=(2,), compression="gzip", shuffle=True)
    group["compound_scalar"] = rows[1]


def sequences(file):
    """Sequences of variable length, alone and inside other types."""
    for order in "<>":
        for kind in ("i1", "u2", "i4", "f8", "c8"):
            data = [numbers(length, order + kind) for length in (3, 0, 1, 500, 2, 7)]
            name = f"list_{'little' if order == '<' else 'big'}_{kind}"
            file.create_dataset(name, (6,), h5py.vlen_dtype(numpy.dtype(order + kind)))[...] = objects(data)
            chunked = file.create_dataset(f"{name}_2d", (2, 3), h5py.vlen_dtype(numpy.dtype(order + kind)), chunks=(1, 2), compression="gzip")
            chunked[...] = objects(data, (2, 3))
    file.create_dataset("list_unwritten", (4,), h5py.vlen_dtype("i4"))[1] = [7, 8]
    file.create_dataset("list_chunks_unwritten", (5,), h5py.vlen_dtype("i4"), chunks=(2,))[2] = [9]
    file.create_dataset("list_scalar", (), h5py.vlen_dtype("f4"))[()] = numpy.arange(5, dtype="f4")
    file.create_dataset("list_empty", (0,), h5py.vlen_dtype("f4"))
    file.create_dataset("list_enum", (2,), h5py.vlen_dtype(h5py.enum_dtype(COLOURS, "i2")))[...] = objects([numpy.array([1, -2], "i2"), numpy.array([], "i2")])
    file.create_dataset("list_bool", (2,), h5py.vlen_dtype(numpy.dtype("?")))[...] = objects([numpy.array([True, False]), numpy.array([False])])
    pair = numpy.dtype([("x", ">i2"), ("y", "<f8")])
    data = [numpy.array([(1, 2.5), (-3, 4)], pair), numpy.array([], pair)]
    file.create_dataset("list_compound", (2,), h5py.vlen_dtype(pair))[...] = objects(data)
    texts = [["a", "héllo", ""], [], ["x" * 5000]]
    dataset = file.create_dataset("list_text", (3,), h5py.vlen_dtype(h5py.string_dtype()))
    for row, items in enumerate(texts):
        dataset[row] = numpy.array(items, h5py.string_dtype())
    nested = file.create_dataset("list_list", (2,), h5py.vlen_dtype(h5py.vlen_dtype("i4")))
    nested[0] = objects([numpy.array([1, 2], "i4"), numpy.array([], "i4"), numpy.array([3], "i4")])
    with_heap = numpy.dtype([("name", h5py.string_dtype()), ("values", h5py.vlen_dtype(">u2")), ("n", ">i4")])
    rows = numpy.zeros(3, with_heap)
    for index, (name, values) in enumerate([("één", [1, 2, 3]), ("", []), ("z", [65535])]):
        rows[index] = (name, numpy.array(values, ">u2"), index * 1000)
    file["compound_list"] = rows
    file.create_dataset("compound_list_chunked", data=rows, chunks=(2,), compression="gzip")
    texts = file.create_dataset("array_text", (2,), numpy.dtype((h5py.string_dtype(), (2,))))
    texts[...] = numpy.array([["a", "b"], ["ç", ""]], object)


def references(file):
    """Object references, null ones too, and region references, which are refused."""
    target = file.create_group("targets/inner")
    target["data"] = numpy.arange(3)
    refs = numpy.array([target.ref, target["data"].ref, file.ref, h5py.Reference()], h5py.ref_dtype)
    file["references"] = refs
    file.create_dataset("references_2d", data=refs.reshape(2, 2), chunks=(1, 2), compression="gzip")
    file.create_dataset("reference_scalar", data=target.ref, dtype=h5py.ref_dtype)
    dataset = file.create_dataset("list_references", (2,), h5py.vlen_dtype(h5py.ref_dtype))
    dataset[0] = refs[:2]
    pair = numpy.dtype([("dataset", h5py.ref_dtype), ("dimension", "i4")])
    file["compound_references"] = numpy.array([(refs[0], 1), (refs[1], 0)], pair)
    file.create_dataset("regions", data=numpy.array([target["data"].regionref[:2]], h5py.regionref_dtype), dtype=h5py.regionref_dtype)


def bits(file):
    """Bit fields; numpy has no word for them."""
    for kind, dtype in [("STD_B8LE", "u1"), ("STD_B16BE", ">u2"), ("STD_B32LE", "<u4"), ("STD_B64BE", ">u8")]:
        space = h5py.h5s.create_simple((6,))
        dataset = h5py.h5d.create(file.id, kind.lower().encode(), getattr(h5py.h5t, kind), space)
        dataset.write(space, space, numbers(6, dtype), mtype=getattr(h5py.h5t, kind))


def attributes(group):
    """Attributes of every type."""
    sibling = group.create_group("sibling")
    group.attrs["complex"] = numpy.complex64(1 + 2j)
    group.attrs.create("enum", 1, dtype=h5py.enum_dtype(COLOURS, "i2"))
    group.attrs.create("enums", [1, -2], dtype=h5py.enum_dtype(COLOURS, ">i2"))
    group.attrs.create("list", objects([numpy.array([1, 2]), numpy.array([], "i8")]), dtype=h5py.vlen_dtype("i8"))
    group.attrs["compound"] = numpy.array([(1, 2.5, b"x")], numpy.dtype([("a", ">i4"), ("reference", "f8"), ("s", "S2")]))
    group.attrs.create("reference", sibling.ref, dtype=h5py.ref_dtype)
    group.attrs.create("references", objects([numpy.array([sibling.ref, group.ref], h5py.ref_dtype)]), dtype=h5py.vlen_dtype(h5py.ref_dtype))
    group.attrs["empty"] = h5py.Empty("c8")
    group.attrs["opaque"] = numpy.void(b"\x00\x01\x02")
    group.attrs["time"] = numpy.array(["2020-01-01"], "M8[s]").astype(h5py.opaque_dtype("M8[s]"))
    group.attrs.create("region", group.file["targets/inner/data"].regionref[:], dtype=h5py.regionref_dtype)


ATTRIBUTES = {
    "complex": {"re": 1.0, "im": 2.0},
    "enum": 1,
    "enums": [1, -2],
    "list": [[1, 2], []],
    "compound": [{"a": 1, "reference": 2.5, "s": "x"}],
    "reference": {"reference": "/attributes/sibling"},
    "references": [[{"reference": "/attributes/sibling"}, {"reference": "/attributes"}]],
    "empty": None,
    "opaque": {"unsupported": "opaque of 3 bytes"},
    "time": {"unsupported": "datetime64[s]"},
    "region": {"unsupported": "region reference"},
}


def native_complex(path):
    """Complex numbers in HDF5 2.0's own datatype class, which h5py reads and does not write."""
    library = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(h5py.__file__), "..", "h5py.libs", "libhdf5-*"))[0])
    number = ctypes.c_int64
    library.H5Tcomplex_create.restype = library.H5Dcreate2.restype = number
    library.H5Tcomplex_create.argtypes = [number]
    library.H5Dcreate2.argtypes = [number, ctypes.c_char_p] + [number] * 5
    library.H5Dclose.argtypes = [number]
    with h5py.File(path, "w", libver="latest") as file:
        for name, base in [("c8", h5py.h5t.IEEE_F32LE), ("c16", h5py.h5t.IEEE_F64LE)]:
            space = h5py.h5s.create_simple((5,))
            library.H5Dclose(library.H5Dcreate2(file.id.id, name.encode(), library.H5Tcomplex_create(base.id), space.id, 0, 0, 0))
            file[name][...] = numbers(5, name)


def matlab_like(path):
    """A MATLAB 7.3 file as MATLAB lays it out: a user block, cells as references into `#refs#`, texts as uint16."""
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        cells = []
        for index, text in enumerate(["alpha", "βeta", ""]):
            codes = numpy.frombuffer(text.encode("utf-16-le"), "u2")
            if text:
                cell = refs.create_dataset(chr(ord("b") + index), data=codes[:, None])
            else:
                cell = refs.create_dataset(chr(ord("b") + index), data=numpy.zeros(2, "u8"))
                cell.attrs["MATLAB_empty"] = numpy.uint8(1)
            cell.attrs["MATLAB_class"] = numpy.bytes_("char")
            cell.attrs["MATLAB_int_decode"] = numpy.int32(2)
            cells.append(cell.ref)
        names = file.create_dataset("names", data=numpy.array(cells, h5py.ref_dtype)[:, None])
        names.attrs["MATLAB_class"] = numpy.bytes_("cell")
        matrix = file.create_dataset("matrix", data=numbers((3, 4), "f8"))
        matrix.attrs["MATLAB_class"] = numpy.bytes_("double")
        z = file.create_dataset("z", data=numpy.array([[(1.0, 2.0)]], numpy.dtype([("real", "f8"), ("imag", "f8")])))
        z.attrs["MATLAB_class"] = numpy.bytes_("double")
        group = file.create_group("structure")
        group.attrs["MATLAB_class"] = numpy.bytes_("struct")
        group.attrs.create("MATLAB_fields", objects([numpy.array([b"a"], "S1"), numpy.array([b"l", b"o"], "S1")]), dtype=h5py.vlen_dtype(numpy.dtype("S1")))
        group["a"] = numpy.array([[True]], "u1")
        group["a"].attrs["MATLAB_class"] = numpy.bytes_("logical")
    with open(path, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def netcdf_like(path):
    """Dimension scales as netCDF-4 writes them: references in attributes, both ways."""
    with h5py.File(path, "w", track_order=True) as file:
        for name, length in [("time", 4), ("lat", 3)]:
            file[name] = numbers(length, "f8")
            file[name].make_scale(name)
        field = file.create_dataset("field", data=numbers((4, 3), ">f4"), chunks=(2, 3))
        for axis, name in enumerate(["time", "lat"]):
            field.dims[axis].attach_scale(file[name])
        kind = h5py.enum_dtype({"clear": 0, "cloudy": 1}, "i1")
        file["cloud_type"] = numpy.dtype(kind)
        file.create_dataset("clouds", data=numpy.array([0, 1, 1], "i1"), dtype=file["cloud_type"])


ZARR_TYPES = {
    "c8": ("<c8", None),
    "c16": ("<c16", 1 + 2j),
    "c16_big": (">c16", None),
    "c16_nan": ("<c16", complex(float("nan"), float("inf"))),
    "M8_ns": ("<M8[ns]", None),
    "M8_us": ("<M8[us]", numpy.datetime64(5, "us")),
    "M8_ms": (">M8[ms]", numpy.datetime64("NaT", "ms")),
    "M8_10s": ("<M8[10s]", numpy.datetime64(70, "10s")),
    "M8_h": ("<M8[h]", None),
    "M8_D": ("<M8[D]", None),
    "m8_ns": ("<m8[ns]", None),
    "m8_s": (">m8[s]", numpy.timedelta64(3, "s")),
    "m8_D": ("<m8[D]", numpy.timedelta64("NaT", "D")),
    "structured": ([("a", "<i4"), ("b", "<f8"), ("s", "S3"), ("u", "<U2"), ("f", "?")], (1, 2.5, b"ab", "xy", True)),
    "structured_time": ([("z", "<c8"), ("t", "<M8[ns]")], None),
    "raw": ("V8", None),
    "texts": ("S3", b"ab"),
    "wide": ("<U3", "ab"),
    "wide_big": (">U3", None),
    "half": (">f2", numpy.nan),
    "float": ("<f4", numpy.inf),
}
# What version 3 has no byte order for: zarr-python itself writes such fields as they lie in memory.
ZARR_V2_TYPES = {"structured_big": ([("a", ">i4"), ("z", ">c16"), ("u", ">U2"), ("t", ">M8[s]")], None)}


def zarr_types(path, version):
    """Arrays of every element type, one chunk of which is never written."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    for name, (dtype, fill) in (ZARR_TYPES | (ZARR_V2_TYPES if version == 2 else {})).items():
        options = {} if fill is None else {"fill_value": fill}
        dtype = numpy.dtype(dtype)
        # numcodecs cannot compress times of version 2.
        packed = [] if version == 2 and "M8" in str(dtype.descr) or dtype.kind == "m" else [("_packed", "auto")]
        for suffix, codecs in [("", None), *packed]:
            array = group.create_array(name + suffix, shape=(7,), chunks=(3,), dtype=dtype, compressors=codecs, **options)
            array[:5] = zarr_values(5, dtype)
    binary = group.create_array("binary", shape=(5,), chunks=(2,), dtype=VariableLengthBytes())
    binary[:3] = objects([b"a\xff\x00", b"", b"x" * 300])
    for kind in ("Y", "M", "ps"):
        group.create_array(f"refused_{kind}", shape=(2,), chunks=(2,), dtype=numpy.dtype(f"<M8[{kind}]"))
    zarr.consolidate_metadata(path)


def zarr_values(count, dtype):
    """Values of any zarr type."""
    values = numpy.zeros(count, dtype)
    for field in dtype.names or [...]:
        part = values[field] if dtype.names else values
        kind = part.dtype.kind
        if kind in "SU":
            part[...] = ["", "a", "bc", "def", "é" if kind == "U" else "z"][:count]
        elif kind in "Mm":
            part[...] = numpy.array([0, 1, -1, 20000, 0]).astype(part.dtype)
            part[count - 1] = numpy.array("NaT", part.dtype)
        elif kind == "V":
            part[...] = numpy.frombuffer(bytes(range(count * part.dtype.itemsize)), part.dtype)
        elif kind == "b":
            part[...] = [True, False, True, True, False]
        else:
            part[...] = numbers(count, part.dtype)
    return values
