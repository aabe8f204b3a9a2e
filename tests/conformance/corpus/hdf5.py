"""HDF5 files by h5py: every library version's file format, with the layouts, filters, types and groups of HDF5 itself."""

import h5py
import numpy

from .case import FLOATS, INTEGERS, Case, numbers, smooth, texts

VERSIONS = ("earliest", "v108", "v110", "v112", "v114", "v200", "latest")


def open_new(path, version, **options):
    """A new file whose objects are all of one library version's format."""
    bounds = ("earliest", "latest") if version == "earliest" else (version, version)
    return h5py.File(path, "w", libver=bounds, **options)


def low_level(file, name, data, change, kind=None):
    """A dataset with creation properties that h5py's own words do not have; `change` sets them."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    change(properties)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    space = h5py.h5s.create_simple(data.shape)
    kind = kind or h5py.h5t.py_create(data.dtype, logical=True)
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space, properties, links)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def compact(properties):
    properties.set_layout(h5py.h5d.COMPACT)


def write_numbers(file):
    """Integers, floats and booleans of every width and byte order, in every layout."""
    for order in ("<", ">"):
        for name in (*INTEGERS, *FLOATS):
            data = numbers(42, order + name).reshape(7, 6)
            where = f"{'little' if order == '<' else 'big'}/{name}"
            file[f"{where}/contiguous"] = data
            low_level(file, f"{where}/compact", data, compact)
            file.create_dataset(f"{where}/chunked", data=data, chunks=(3, 4), compression="gzip", shuffle=True)
    file["bool/contiguous"] = numbers(42, "?").reshape(7, 6)
    file.create_dataset("bool/chunked", data=numbers(42, "?"), chunks=(10,), compression="lzf")
    for name in (*INTEGERS, *FLOATS, "?"):
        file[f"scalar/{'bool' if name == '?' else name}"] = numbers(4, name)[3]


def write_texts(file):
    """Texts of fixed and variable length, ASCII and UTF-8, with each padding."""
    file.create_dataset("variable/contiguous", data=texts(19), dtype=h5py.string_dtype())
    file.create_dataset("variable/chunked", data=texts(50), dtype=h5py.string_dtype(), chunks=(7,))
    filters = {"compression": "gzip", "shuffle": True}
    file.create_dataset("variable/filtered", data=texts(24).reshape(6, 4), dtype=h5py.string_dtype(), chunks=(4, 3), **filters)
    file.create_dataset("variable/ascii", data=[b"a", b"bb", b""], dtype=h5py.string_dtype("ascii"))
    file.create_dataset("variable/long", data=["y" * 5000, "z" * 70000, ""], dtype=h5py.string_dtype())
    file.create_dataset("variable/unwritten", (4,), h5py.string_dtype())
    some = file.create_dataset("variable/partly", (20,), h5py.string_dtype(), chunks=(4,))
    some[5] = "only one"
    file["variable/scalar"] = "één"
    file["fixed/null_padded"] = numpy.array([b"a", b"bc", b"", b"defg"] * 5, "S4")
    file.create_dataset("fixed/chunked", data=numpy.array([b"ab", b"c"] * 20, "S7"), chunks=(9,), compression="gzip")
    for name, padding in (("null_terminated", h5py.h5t.STR_NULLTERM), ("space_padded", h5py.h5t.STR_SPACEPAD)):
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(padding)
        low_level(file, f"fixed/{name}", numpy.array([b"ab", b"", b"hello"], "S5"), compact, kind)
    utf8 = h5py.string_dtype("utf-8", 9)
    file.create_dataset("fixed/utf8", data=numpy.array(["é".encode(), "東京x".encode(), b""], utf8))


def write_records(file):
    """Compounds, nested and padded, arrays as elements, opaque bytes; contiguous and compressed."""
    for order in ("<", ">"):
        inner = numpy.dtype([("p", order + "u2"), ("q", order + "f8")])
        fields = [("a", order + "i4"), ("b", "S5"), ("inner", inner), ("v", order + "f4", (2, 3)), ("flag", "?")]
        rows = numpy.zeros(23, numpy.dtype(fields))
        rows["a"], rows["b"], rows["flag"] = numbers(23, "i4"), [b"xy", b"abcde"] * 11 + [b""], numbers(23, "?")
        rows["inner"]["p"], rows["inner"]["q"] = numbers(23, "u2"), numbers(23, "f8")
        rows["v"] = numbers(138, "f4").reshape(23, 2, 3)
        where = "little" if order == "<" else "big"
        file[f"{where}/contiguous"] = rows
        file.create_dataset(f"{where}/chunked", data=rows, chunks=(5,), compression="gzip", shuffle=True)
        file[f"{where}/scalar"] = rows[4]
        padded = numpy.zeros(3, numpy.dtype([("a", "u1"), ("b", order + "f8"), ("c", order + "u2")], align=True))
        padded["a"], padded["b"], padded["c"] = [1, 2, 3], numbers(3, "f8"), [9, 8, 7]
        file[f"{where}/padded"] = padded
        array = file.create_dataset(f"{where}/array", (9,), numpy.dtype((order + "i2", (3, 2))), chunks=(4,))
        array[...] = numbers(54, "i2").reshape(9, 3, 2)
    named = numpy.zeros(9, [("n", "<i4"), ("text", h5py.string_dtype()), ("x", ">f8")])
    named["n"], named["text"], named["x"] = numpy.arange(9), texts(9), numbers(9, "f8")
    file["text_inside"] = named
    file.create_dataset("text_inside_chunked", data=named, chunks=(4,), compression="gzip")
    file["opaque"] = numpy.array([b"\x01\x02\x03", b"\xff\x00\x07"], "V3")


def write_layouts(file):
    """Every layout and every kind of chunk index that the version has, fill values, chunks never written."""
    data = smooth((26, 15))
    file["contiguous"] = data
    low_level(file, "compact", data, compact)
    chunk, unlimited = (8, 7), (None, None)
    file.create_dataset("single_chunk", data=data, chunks=data.shape)
    file.create_dataset("fixed_array", data=data, chunks=chunk)
    file.create_dataset("extensible_array", data=data, chunks=chunk, maxshape=(None, 15))
    file.create_dataset("tree", data=data, chunks=chunk, maxshape=unlimited)
    file.create_dataset("tree_filtered", data=data, chunks=chunk, maxshape=unlimited, compression="gzip")

    def implicit(properties):
        properties.set_chunk(chunk)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)

    low_level(file, "implicit", data, implicit)
    file.create_dataset("many_fixed", data=numbers(1100, "i2"), chunks=(1,))
    file.create_dataset("many_extensible", data=numbers(1100, "i2"), chunks=(1,), maxshape=(None,), fletcher32=True)
    file.create_dataset("many_tree", data=numbers(900, "i2").reshape(30, 30), chunks=(1, 1), maxshape=unlimited)
    file.create_dataset("five_dimensions", data=smooth((3, 4, 2, 5, 3), "u2"), chunks=(2, 3, 1, 2, 3), compression="gzip")
    file.create_dataset("shrunk", data=data, chunks=chunk, maxshape=unlimited).resize((17, 9))
    file.create_dataset("grown", data=data, chunks=chunk, maxshape=unlimited, fillvalue=7).resize((60, 40))
    for name, kind, fill in (("i4", "<i4", -7), ("f8", ">f8", numpy.nan), ("u2", ">u2", 513), ("f4", "<f4", 1.5)):
        partly = file.create_dataset(f"fill/{name}", (10, 10), kind, chunks=(4, 4), fillvalue=fill)
        partly[0:3, 5:9] = 1
        file.create_dataset(f"fill/{name}_never_written", (10,), kind, fillvalue=fill)
    file.create_dataset("empty/contiguous", data=numpy.zeros((0, 4), "i4"))
    file.create_dataset("empty/chunked", (0, 5), "f4", maxshape=(None, 5), chunks=(4, 5))
    file.create_dataset("empty/columns", (5, 0), "f4")
    file["null"] = h5py.Empty("f4")


def write_filters(file):
    """The filters of HDF5 and h5py themselves, alone and in rows, and a chunk that skipped them."""
    data = smooth((26, 15))
    for level in range(10):
        file.create_dataset(f"gzip/{level}", data=data, chunks=(8, 7), compression="gzip", compression_opts=level)
    rows = {
        "lzf": {"compression": "lzf"},
        "shuffle": {"shuffle": True},
        "fletcher32": {"fletcher32": True},
        "shuffle_gzip": {"compression": "gzip", "shuffle": True},
        "shuffle_lzf_fletcher32": {"compression": "lzf", "shuffle": True, "fletcher32": True},
        "shuffle_gzip_fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "szip_nn": {"compression": "szip", "compression_opts": ("nn", 8)},
        "szip_ec": {"compression": "szip", "compression_opts": ("ec", 16)},
        "scaleoffset": {"scaleoffset": 0},
        "scaleoffset_bits": {"scaleoffset": 7},
        "scaleoffset_gzip": {"scaleoffset": 0, "compression": "gzip"},
    }
    for name, options in rows.items():
        file.create_dataset(f"{name}/integers", data=data, chunks=(8, 7), **options)
        file.create_dataset(f"{name}/big", data=data.astype(">u2"), chunks=(25, 4), maxshape=(None, None), **options)
        if "scaleoffset" in name:
            digits = options | {"scaleoffset": 2}
            file.create_dataset(f"{name}/floats", data=data / 7 - 3, chunks=(10, 15), **digits)
        else:
            file.create_dataset(f"{name}/floats", data=numbers(390, "f8").reshape(26, 15), chunks=(10, 15), **options)

    def nbit(properties):
        properties.set_chunk((8, 7))
        properties.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_MANDATORY, ())

    for kind in ("i1", "i4", "u8", "f4", ">f8", ">i4"):
        low_level(file, f"nbit/{kind.replace('>', 'big_')}", data.astype(kind), nbit)
    masked = file.create_dataset("masked", (20,), "i4", chunks=(10,), compression="gzip", shuffle=True)
    masked.id.write_direct_chunk((0,), numbers(10, "<i4").tobytes(), filter_mask=3)
    masked[10:] = numbers(10, "i4")


def write_groups(file):
    """Groups large and deep, tracked order, many attributes, links of each kind, names of each kind."""
    large = file.create_group("large")
    for position in range(100):
        large[f"member {position}"] = position
    tracked = file.create_group("tracked", track_order=True)
    for name in ("z", "a", "m"):
        tracked[name] = numbers(3, "i2")
        tracked.attrs[name] = name
    dense = file.create_group("attributes", track_order=True)
    for position in range(40):
        dense.attrs[f"attribute {position}"] = position * 1.5
    attributes = dense.attrs
    attributes["text"], attributes["fixed"], attributes["texts"] = "één", numpy.bytes_(b"abc"), ["a", "東京"]
    attributes["array"], attributes["flag"] = numpy.arange(6).reshape(2, 3), True
    attributes["large"], attributes["empty"] = numpy.uint64(2**64 - 1), h5py.Empty("f4")
    attributes["nan"], attributes["half"] = numpy.array([numpy.nan, numpy.inf]), numpy.float16(1.25)
    attributes["to"] = file["tracked"].ref
    file["/".join(f"level{depth}" for depth in range(12)) + "/deep"] = 5
    links = file.create_group("links")
    links["hard"] = tracked["a"]
    links["soft"], links["dangling"] = h5py.SoftLink("/tracked/a"), h5py.SoftLink("/nowhere")
    links["external"] = h5py.ExternalLink("other.h5", "/x")
    links["named_type"] = numpy.dtype("f4")
    for name in ("with space", "ünïcode 東京", "dots.in.it", "%41", "a,b;c", "back\\slash", "'quotes\""):
        file[f"names/{name}"] = numbers(4, "u1")


CONTENTS = {
    "numbers": ("integers, floats, bool; both byte orders; contiguous, compact, chunked, scalar", write_numbers),
    "texts": ("fixed and variable-length texts, each padding and charset; global heaps", write_texts),
    "records": ("nested compounds, array types, texts in compounds, opaque", write_records),
    "layouts": ("contiguous, compact, each chunk index; fill values, unwritten chunks, null, empty", write_layouts),
    "filters": ("gzip 0–9, shuffle, fletcher32, lzf, szip, scaleoffset, nbit, filter masks", write_filters),
    "groups": ("large, deep and ordered groups, dense attributes, links, odd names", write_groups),
}
NOT_LINKED = {
    "links/dangling": "soft link to '/nowhere': there is no 'nowhere'",
    "links/external": "external link to '/x' in the file 'other.h5': links to other files are not followed",
    "links/named_type": "named datatype: not supported",
}
OPTIONS = {
    "user block": {"userblock_size": 1024},
    "paged": {"fs_strategy": "page", "fs_page_size": 4096},
    "paged, user block": {"fs_strategy": "page", "fs_page_size": 512, "userblock_size": 512},
    "tracked order": {"track_order": True},
    "free space kept": {"fs_strategy": "fsm", "fs_persist": True},
}


def writer(version, write, **options):
    """A function that writes a whole file."""

    def write_file(path):
        with open_new(path, version, **options) as file:
            write(file)

    return write_file


def cases():
    for version in VERSIONS:
        for content, (holds, write) in CONTENTS.items():
            if version in ("v112", "v200") and content in ("numbers", "records"):
                continue  # types look as in the version before
            refused = NOT_LINKED if content == "groups" else {}
            name = f"h5py/{version}/{content}.h5"
            yield Case(name, "h5py", f"libver {version}", holds, writer(version, write), refused)
    for label, options in OPTIONS.items():
        for version in ("earliest", "latest") if "page" not in str(options) else ("v110", "latest"):
            for content in ("layouts", "texts") if "fs" in str(options) else ("layouts", "groups"):
                holds, write = CONTENTS[content]
                name = f"h5py/{label.replace(', ', '_').replace(' ', '_')}/{content}_{version}.h5"
                refused = NOT_LINKED if content == "groups" else {}
                file = writer(version, write, **options)
                yield Case(name, "h5py", f"libver {version}, {label}", holds, file, refused)


CASES = list(cases())
