"""HDF5 files by h5py: the types that few readers know, and datasets whose elements lie elsewhere."""

import h5py
import numpy

from .case import Case, numbers, smooth
from .hdf5 import low_level, writer


def write_enumerations(file):
    """Enumerations of several base types, also inside a compound."""
    colours = {"RED": 0, "GREEN": 1, "BLUE": 42}
    for base in ("i1", "u2", "<i4", ">i8"):
        kind = h5py.enum_dtype(colours, basetype=base)
        name = base.strip("<>")
        file.create_dataset(f"{name}/contiguous", data=[0, 1, 42, 1], dtype=kind)
        file.create_dataset(f"{name}/chunked", data=[0, 42, 1] * 9, dtype=kind, chunks=(5,), compression="gzip")
        file.create_dataset(f"{name}/matrix", data=[[0, 1, 42], [42, 1, 0]], dtype=kind)
    file.create_dataset("scalar", data=42, dtype=h5py.enum_dtype(colours))


def write_complex(file):
    """Complex numbers of both widths and byte orders."""
    for name in ("c8", "c16"):
        for order in "<>":
            where = f"{'little' if order == '<' else 'big'}/{name}"
            data = numbers(30, order + name).reshape(6, 5)
            file[f"{where}/contiguous"] = data
            file.create_dataset(f"{where}/chunked", data=data, chunks=(4, 2), compression="gzip", shuffle=True)
    file["scalar"] = numpy.complex128(1 - 2j)


def write_sequences(file):
    """Sequences of variable length, contiguous, chunked, compressed, with empty ones and ones never written."""
    for name in ("i4", "u1", ">f8", "f4"):
        kind = h5py.vlen_dtype(numpy.dtype(name))
        rows = numpy.empty(17, dtype=object)
        for position in range(17):
            rows[position] = numbers(position % 5, name, seed=position)
        where = name.strip(">")
        for layout, options in {"contiguous": {}, "chunked": {"chunks": (4,), "compression": "gzip"}}.items():
            file.create_dataset(f"{where}/{layout}", (17,), kind, **options)[...] = rows
        file.create_dataset(f"{where}/unwritten", (3,), kind)


def write_references(file):
    """References to objects, and to regions of them."""
    file["data"] = smooth((6, 4))
    file.create_group("group")
    targets = [file["data"].ref, file["group"].ref, file["data"].ref]
    file["objects"] = numpy.array(targets, h5py.ref_dtype)
    file.create_dataset("chunked", data=numpy.array(targets * 5, h5py.ref_dtype), chunks=(4,), compression="gzip")
    null = file.create_dataset("with_null", (3,), h5py.ref_dtype)
    null[1] = file["group"].ref
    region = file.create_dataset("regions", (2,), h5py.regionref_dtype)
    region[0] = file["data"].regionref[1:3, :]


def write_bit_fields(file):
    """Bit fields of each width."""
    for size, kind in {1: h5py.h5t.STD_B8LE, 2: h5py.h5t.STD_B16BE, 4: h5py.h5t.STD_B32LE, 8: h5py.h5t.STD_B64LE}.items():
        data = numbers(12, f"u{size}")
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        space = h5py.h5s.create_simple(data.shape)
        dataset = h5py.h5d.create(file.id, f"b{size}".encode(), kind, space, properties)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data.astype(f"{'>' if size == 2 else '<'}u{size}"), kind)


def write_narrow(file):
    """Integers and floats of which not every bit counts: 12 bits of 16, bfloat16, 80 bits."""
    short = h5py.h5t.STD_I16LE.copy()
    short.set_precision(12)
    low_level(file, "short", smooth(20, "i2"), lambda properties: None, short)

    def nbit(properties):
        properties.set_chunk((8,))
        properties.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_MANDATORY, ())

    low_level(file, "short_nbit", smooth(20, "i2"), nbit, short)
    brain = h5py.h5t.IEEE_F32LE.copy()
    brain.set_fields(15, 7, 8, 0, 7)
    brain.set_size(2)
    brain.set_precision(16)
    brain.set_ebias(127)
    low_level(file, "bfloat16", numbers(9, "f4"), lambda properties: None, brain)
    if numpy.dtype("g").itemsize > 8:
        file["long_double"] = numbers(9, "f8").astype("g")


def write_times(file):
    """NumPy's times as h5py keeps them: opaque, with a tag."""
    days = numpy.array(["2020-01-01", "1999-12-31", "NaT"], "M8[D]")
    file["days"] = days.astype(h5py.opaque_dtype("M8[D]"))
    file["spans"] = numpy.array([1, -5], "m8[ms]").astype(h5py.opaque_dtype("m8[ms]"))


def write_deep_compounds(file):
    """Compounds that hold an enumeration, a complex number and a sequence."""
    kind = numpy.dtype([
        ("id", "<i8"),
        ("colour", h5py.enum_dtype({"RED": 0, "BLUE": 1}, basetype="i1")),
        ("wave", "<c16"),
    ])
    rows = numpy.zeros(7, kind)
    rows["id"], rows["colour"], rows["wave"] = numpy.arange(7), [0, 1] * 3 + [0], numbers(7, "c16")
    file["plain"] = rows
    file.create_dataset("chunked", data=rows, chunks=(3,), compression="gzip")
    ragged = numpy.dtype([("id", "<i4"), ("items", h5py.vlen_dtype(numpy.dtype("f4")))])
    data = numpy.zeros(4, ragged)
    data["id"] = numpy.arange(4)
    for position in range(4):
        data["items"][position] = numbers(position, "f4")
    file["ragged"] = data


def write_virtual(path):
    """A virtual dataset over two files beside it, and one over a dataset of the same file."""
    parts = []
    for position in range(2):
        part = path.with_name(f"{path.stem}_part{position}.h5")
        with h5py.File(part, "w") as file:
            file["data"] = smooth((5, 4), seed=position)
        parts.append(part)
    with h5py.File(path, "w", libver="latest") as file:
        file["own"] = smooth((5, 4), seed=7)
        layout = h5py.VirtualLayout((10, 4), "i4")
        for position, part in enumerate(parts):
            layout[position * 5 : position * 5 + 5] = h5py.VirtualSource(part.name, "data", (5, 4))
        file.create_virtual_dataset("joined", layout, fillvalue=-1)
    with h5py.File(path, "r+") as file:
        inner = h5py.VirtualLayout((3, 4), "i4")
        inner[...] = h5py.VirtualSource(".", "own", (5, 4))[:3]
        file.create_virtual_dataset("of_itself", inner)


def write_external(path):
    """A contiguous dataset whose bytes are in a file beside it."""
    raw = path.with_suffix(".raw")
    data = smooth((6, 4))
    raw.write_bytes(data.astype("<i4").tobytes())
    with h5py.File(path, "w") as file:
        file["inside"] = data
        file.create_dataset("outside", (6, 4), "<i4", external=[(raw.name, 0, h5py.h5f.UNLIMITED)])


def float_of(size, exponent, mantissa):
    """The words that refuse a float that is not IEEE's."""
    return f"element type float of {size} bytes with {exponent} exponent and {mantissa} mantissa bits"


TYPES = {
    "enumerations": ("enumerations", write_enumerations, {}),
    "complex": ("complex64, complex128, both byte orders", write_complex, {}),
    "sequences": ("variable-length sequences", write_sequences, {}),
    "references": (
        "object and region references",
        write_references,
        {"regions": "element type region reference"},
    ),
    "bit_fields": ("bit fields", write_bit_fields, {}),
    "narrow": (
        "integers of 12 bits, bfloat16, long double",
        write_narrow,
        {"long_double": float_of(16, 15, 64)},
    ),
    "times": ("NumPy's times as tagged opaque", write_times, {}),
    "deep_compounds": ("enumerations, complex and sequences in compounds", write_deep_compounds, {}),
}
VIRTUAL = "virtual dataset (its data lies in other datasets): only a build with the feature libhdf5 reads it"


def cases():
    for version in ("earliest", "v110", "latest"):
        for name, (holds, write, refused) in TYPES.items():
            file = writer(version, write)
            path = f"h5py/{version}/{name}.h5"
            yield Case(path, "h5py", f"libver {version}", holds, file, refused)
    virtual = {"joined": VIRTUAL, "of_itself": VIRTUAL}
    yield Case("h5py/virtual.h5", "h5py", "libver latest", "virtual datasets", write_virtual, virtual)
    yield Case("h5py/external.h5", "h5py", "libver earliest", "external storage", write_external)


CASES = list(cases())
