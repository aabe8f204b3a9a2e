"""Zarr stores of both versions by zarr-python: types, fill values, chunk keys, orders, shards, consolidation, zip."""

import json

import numpy
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, VLenUTF8Codec, ZstdCodec
from zarr.storage import ZipStore

from .case import FLOATS, INTEGERS, Case, numbers, smooth, texts


def add(group, name, data, chunks, parts=None, **options):
    """One array; of `parts` (index expressions) only these are written."""
    options.setdefault("dtype", data.dtype)
    array = group.create_array(name, shape=data.shape, chunks=chunks, **options)
    for part in [Ellipsis] if parts is None else parts:
        array[part] = data[part]
    return array


def types(group, version):
    """Numbers of every width and byte order, booleans, texts of fixed and variable length."""
    for name in (*INTEGERS, *FLOATS, "?"):
        add(group, "bool" if name == "?" else name, numbers(35, name).reshape(7, 5), (3, 2))
        if name not in ("i1", "u1", "?"):
            big = {"serializer": BytesCodec(endian="big")} if version == 3 else {"dtype": ">" + name}
            add(group, f"big/{name}", numbers(35, name).reshape(7, 5), (3, 2), **big)
    add(group, "fixed", numpy.array([b"", b"a", b"abcd"] * 4, "S4"), (5,))
    add(group, "fixed_unicode", numpy.array(["", "ä", "東京x"] * 4, "U3").reshape(6, 2), (4, 2))
    add(group, "texts", texts(18).reshape(9, 2), (4, 2), dtype=str)


def other_types(group, version):
    """Types of which work goes on: complex, times, structured, bytes."""
    add(group, "complex64", numbers(9, "c8"), (4,))
    add(group, "complex128", numbers(9, "c16"), (4,))
    times = numpy.array(["2020-01-01", "NaT", "1999-12-31"], "M8[s]")
    add(group, "datetime_s", times, (2,))
    add(group, "datetime_ns", times.astype("M8[ns]"), (2,))
    add(group, "timedelta_ms", numpy.array([1, -5, 7], "m8[ms]"), (2,))
    rows = numpy.zeros(5, [("a", "<i4"), ("b", "<f4")])
    rows["a"], rows["b"] = numpy.arange(5), numbers(5, "f4")
    add(group, "structured", rows, (2,))
    add(group, "raw_bytes", numpy.array([b"\x01\x02", b"\xff\x00"], "V2"), (2,))


OTHER_TYPES = {
    "complex*": "(?i)complex",
    "datetime*": "(?i)datetime|time",
    "timedelta*": "(?i)timedelta|time",
    "structured": "(?i)struct",
    "raw_bytes": "(?i)raw|void|null_terminated|r16|V2|bytes",
}


def fill_values(group, version):
    """Chunks that were never written, with a fill value of every type."""
    some = [numpy.s_[0:2], numpy.s_[4:5]]
    for name, fill in {"i1": -7, "i8": -(2**62), "u8": 2**63, "f2": "-inf", "f4": "nan", "f8": 0.1, "bool": True}.items():
        fill = float(fill) if isinstance(fill, str) else fill
        data = numbers(9, "?" if name == "bool" else name)
        add(group, f"{name}_holes", data, (2,), some, fill_value=fill)
        add(group, f"{name}_never", data, (2,), [], fill_value=fill)
    add(group, "text_holes", texts(9), (2,), some, dtype=str, fill_value="füll")
    add(group, "matrix", numbers(81, "f4").reshape(9, 9), (3, 3), [numpy.s_[0:1, 0:1], numpy.s_[4:5, 4:9]], fill_value=-1.25)


def shapes(group, version, **options):
    """Scalars, empty arrays, one to five dimensions, chunks larger than the array."""
    add(group, "scalar", numpy.array(4.25), (), **options)
    add(group, "scalar_text", numpy.array("東京", dtype=object), (), dtype=str, **options)
    add(group, "line", numbers(11, "i4"), (4,), **options)
    add(group, "cube", numbers(120, "i2").reshape(5, 4, 6), (2, 3, 4), **options)
    add(group, "five", numbers(360, "u2").reshape(3, 4, 2, 5, 3), (2, 3, 1, 2, 3), **options)
    add(group, "empty", numpy.zeros((0, 3), "f4"), (1, 3), **options)
    add(group, "large_chunk", numbers(6, "f8"), (100,), **options)
    deep = group.create_group("a").create_group("b").create_group("c")
    deep.attrs["depth"] = 3
    add(deep, "deep", numbers(6, "f8"), (4,), **options)
    add(group, "name with space", numbers(6, "i2"), (4,), **options)


def fortran(group, version):
    """Chunks in column order."""
    turned = {"order": "F"} if version == 2 else {}
    for name, shape, chunks in (("line", (7,), (3,)), ("matrix", (7, 5), (3, 2)), ("cube", (7, 5, 4), (3, 2, 3))):
        turn = {} if version == 2 else {"filters": [TransposeCodec(order=tuple(reversed(range(len(shape)))))]}
        data = numbers(numpy.prod(shape), "i4").reshape(shape)
        add(group, name, data, chunks, **turned, **turn)
        add(group, f"{name}_plain", data, chunks, compressors=None, **turned, **turn)


def shards(group, version):
    """Shards with each place of the index, inner codecs, holes, nested, transposed, with codecs around."""
    data = numbers(50 * 33, "f4").reshape(50, 33)
    for name, options in {
        "plain": {"compressors": None},
        "zstd": {"compressors": ZstdCodec()},
        "blosc": {"compressors": BloscCodec()},
        "gzip_crc32c": {"compressors": [GzipCodec(), Crc32cCodec()]},
        "transposed": {"filters": [TransposeCodec(order=(1, 0))]},
    }.items():
        add(group, name, data, (5, 4), shards=(15, 12), fill_value=1.5, **options)
    for place in ("start", "end"):
        codec = ShardingCodec(chunk_shape=(5, 4), codecs=[BytesCodec(), ZstdCodec()], index_location=place)
        add(group, f"index_{place}", data, (15, 12), serializer=codec, compressors=None)
    holes = [numpy.s_[:, 24:33], numpy.s_[5:15, 4:12], numpy.s_[15:50, 0:12]]
    add(group, "holes", data, (5, 4), holes, shards=(15, 12), fill_value=-1, compressors=GzipCodec())
    inner = ShardingCodec(chunk_shape=(5, 4), codecs=[BytesCodec(endian="big"), ZstdCodec()])
    nested = ShardingCodec(chunk_shape=(10, 8), codecs=[inner])
    add(group, "nested", data, (20, 16), serializer=nested, compressors=None)
    whole = ShardingCodec(chunk_shape=(5, 4), codecs=[BytesCodec()])
    add(group, "outer_gzip", data, (15, 12), serializer=whole, compressors=GzipCodec())
    words = ShardingCodec(chunk_shape=(3,), codecs=[VLenUTF8Codec(), ZstdCodec()])
    add(group, "texts", texts(40), (12,), dtype=str, serializer=words, compressors=None)
    bare = ShardingCodec(chunk_shape=(5, 4), codecs=[BytesCodec()], index_codecs=[BytesCodec()])
    add(group, "bare_index", data, (15, 12), serializer=bare, compressors=None)


def attributes(group, version):
    """Attributes of every JSON type, dimension names, xarray's convention."""
    group.attrs.update({"text": "één", "number": 2.5, "nothing": None, "list": [1, "a", [True]], "map": {"x": {"y": 1}}})
    data = numbers(12, "f4").reshape(3, 4)
    names = {"dimension_names": ["y", "x"]} if version == 3 else {}
    array = add(group, "named", data, (2, 2), **names)
    array.attrs["_ARRAY_DIMENSIONS"] = ["y", "x"]
    add(group, "half_named", data, (2, 2), **({"dimension_names": ["y", None]} if version == 3 else {}))


def grouped(write, version, consolidated=True, **options):
    """Writes a store with a group at its root."""

    def write_store(path):
        write(zarr.open_group(path, mode="w", zarr_format=version), version, **options)
        if consolidated:
            zarr.consolidate_metadata(path)

    return write_store


def root_array(version):
    """Writes a store whose root is the array."""

    def write(path):
        array = zarr.create_array(path, shape=(9, 4), chunks=(4, 3), dtype="f4", zarr_format=version)
        array[...] = numbers(36, "f4").reshape(9, 4)

    return write


def zipped(write, version):
    """Writes a store into one zip archive, its members not compressed, as zarr-python does."""

    def write_store(path):
        with ZipStore(path, mode="w") as store:
            write(zarr.open_group(store, mode="w", zarr_format=version), version)

    return write_store


def old_fill_values(path):
    """Metadata as older writers left it: fill values that are null, or 0 for every type; no separator."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for name, fill in {"null": None, "zero": 0}.items():
        for kind in ("i4", "f8", "u1", "?"):
            where = f"{'bool' if kind == '?' else kind}_{name}"
            add(group, where, numbers(6, kind), (2,), [numpy.s_[0:2]])
            document = path / where / ".zarray"
            content = json.loads(document.read_text()) | {"fill_value": fill}
            content.pop("dimension_separator", None)
            document.write_text(json.dumps(content))


CONTENTS = {
    "types": ("every number type and byte order, bool, fixed and variable texts", types),
    "fill_values": ("fill values of every type, chunks never written", fill_values),
    "shapes": ("0 to 5 dimensions, empty, groups below groups", shapes),
    "fortran": ("column order", fortran),
    "attributes": ("attributes, dimension names", attributes),
}
SEPARATORS = {"dot": ".", "slash": "/"}


def cases():
    for version in (2, 3):
        name = f"zarr{version}"
        label = f"zarr v{version}"
        for content, (holds, write) in CONTENTS.items():
            yield Case(f"{name}/{content}.zarr", "zarr-python", label, holds, grouped(write, version))
        for content in ("shapes", "types"):
            holds, write = CONTENTS[content]
            file = grouped(write, version, consolidated=False)
            yield Case(f"{name}/{content}_walked.zarr", "zarr-python", f"{label}, not consolidated", holds, file)
        for separator, character in SEPARATORS.items():
            for encoding in ("v2", "default") if version == 3 else ("v2",):
                keys = {"chunk_key_encoding": {"name": encoding, "separator": character}}
                file = grouped(shapes, version, **keys)
                holds = f"chunk keys {encoding} with {character}"
                yield Case(f"{name}/keys_{encoding}_{separator}.zarr", "zarr-python", label, holds, file)
        file = grouped(other_types, version)
        holds = "complex, times, structured, raw bytes"
        yield Case(f"{name}/other_types.zarr", "zarr-python", label, holds, file, open_question=OTHER_TYPES)
        yield Case(f"{name}/root_array.zarr", "zarr-python", label, "an array at the root", root_array(version))
        for content in ("types", "shapes"):
            holds, write = CONTENTS[content]
            file = zipped(write, version)
            question = {"*": "(?i)zip|not read|cannot be read|only listed|no known|never read|is read"}
            where = f"{name}/{content}.zarr.zip"
            yield Case(where, "zarr-python", f"{label}, zip", holds, file, open_question=question)
    yield Case("zarr3/shards.zarr", "zarr-python", "zarr v3", "shards of each form", grouped(shards, 3))
    yield Case("zarr3/shards_walked.zarr", "zarr-python", "zarr v3, not consolidated", "shards of each form", grouped(shards, 3, False))
    holds = "fill values null and 0, no separator named"
    yield Case("zarr2/old_fill_values.zarr", "zarr-python, metadata changed", "zarr v2", holds, old_fill_values)


CASES = list(cases())
