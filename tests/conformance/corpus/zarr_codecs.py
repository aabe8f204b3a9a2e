"""Zarr stores of both versions, one for each codec."""

import numcodecs
import numpy
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr.codecs import numcodecs as wrapped

from .case import Case, numbers, smooth, texts
from .zarr_stores import add


def store(version, narrow=False, **codecs):
    """Writes arrays of several types through one chain of codecs; `narrow` ones know elements of four bytes only."""

    def write(path):
        group = zarr.open_group(path, mode="w", zarr_format=version)
        data = smooth((26, 15))
        add(group, "integers", data, (8, 7), **codecs)
        if codecs.get("filters") is None and not narrow:
            add(group, "floats", numpy.linspace(0, 1, 390).reshape(26, 15), (10, 15), **codecs)
            add(group, "noise", numbers(700, "u8"), (333,), **codecs)
            add(group, "bytes", smooth(203, "u1"), (101,), **codecs)
            add(group, "texts", texts(30), (7,), dtype=str, **codecs)
            add(group, "long", numpy.arange(60000, dtype="i4") // 90, (40001,), **codecs)
        add(group, "unwritten", data, (8, 7), [numpy.s_[0:8]], fill_value=-3, **codecs)

    return write


def version2():
    """Compressors and filters of numcodecs by name."""
    yield "none", {"compressors": None}
    yield "zstd", {"compressors": numcodecs.Zstd(level=3)}
    yield "zstd with checksum", {"compressors": numcodecs.Zstd(level=1, checksum=True)}
    for level in (1, 9):
        yield f"gzip {level}", {"compressors": numcodecs.GZip(level=level)}
        yield f"zlib {level}", {"compressors": numcodecs.Zlib(level=level)}
    yield "bz2", {"compressors": numcodecs.BZ2()}
    for inner in ("lz4", "lz4hc", "zstd", "zlib", "blosclz"):
        for shuffle, name in enumerate(("noshuffle", "shuffle", "bitshuffle")):
            yield f"blosc {inner}, {name}", {"compressors": numcodecs.Blosc(cname=inner, shuffle=shuffle)}
    yield "shuffle, zstd", {"filters": [numcodecs.Shuffle(elementsize=4)], "compressors": numcodecs.Zstd()}
    yield "fletcher32", {"filters": [numcodecs.Fletcher32()], "compressors": None}


def version3():
    """Codecs of zarr's specification, and numcodecs' as zarr-python wraps them."""
    yield "none", {"compressors": None}
    yield "zstd", {"compressors": ZstdCodec(level=3)}
    yield "zstd with checksum", {"compressors": ZstdCodec(level=1, checksum=True)}
    for level in (1, 9):
        yield f"gzip {level}", {"compressors": GzipCodec(level=level)}
    yield "crc32c", {"compressors": Crc32cCodec()}
    yield "gzip, zstd, crc32c", {"compressors": [GzipCodec(), ZstdCodec(), Crc32cCodec()]}
    for inner in ("lz4", "lz4hc", "zstd", "zlib", "blosclz"):
        for shuffle in ("noshuffle", "shuffle", "bitshuffle"):
            yield f"blosc {inner}, {shuffle}", {"compressors": BloscCodec(cname=inner, shuffle=shuffle)}
    yield "numcodecs.zlib", {"compressors": wrapped.Zlib(level=5)}
    yield "numcodecs.bz2", {"compressors": wrapped.BZ2(level=1)}
    yield "numcodecs.shuffle, zstd", {"narrow": True, "compressors": [wrapped.Shuffle(elementsize=4), ZstdCodec()]}
    yield "numcodecs.fletcher32", {"compressors": wrapped.Fletcher32()}


def questions():
    """Codecs of which work goes on, or that are refused by name."""
    yield 2, "lz4", {"compressors": numcodecs.LZ4()}, "lz4"
    yield 2, "lzma", {"compressors": numcodecs.LZMA()}, "lzma"
    yield 2, "delta", {"filters": [numcodecs.Delta(dtype="<i4")]}, "delta"
    yield 2, "crc32c", {"filters": [numcodecs.CRC32C()], "compressors": None}, "crc32c"
    yield 2, "adler32", {"filters": [numcodecs.Adler32()], "compressors": None}, "adler32"
    yield 2, "packed bits", {"filters": [numcodecs.FixedScaleOffset(offset=0, scale=1, dtype="<i4")]}, "fixedscaleoffset"
    yield 3, "numcodecs.lz4", {"compressors": wrapped.LZ4()}, "lz4"
    yield 3, "numcodecs.lzma", {"compressors": wrapped.LZMA()}, "lzma"
    yield 3, "numcodecs.delta", {"filters": [wrapped.Delta(dtype="<i4")]}, "delta"
    yield 3, "numcodecs.adler32", {"compressors": wrapped.Adler32()}, "adler32"


def file_name(name):
    return name.replace(", ", "_").replace(" ", "_")


def cases():
    for version, codecs in ((2, version2()), (3, version3())):
        for name, options in codecs:
            path = f"zarr{version}/codec_{file_name(name)}.zarr"
            yield Case(path, "zarr-python", f"zarr v{version}", f"codec {name}", store(version, **options))
    for version, name, options, words in questions():
        path = f"zarr{version}/codec_{file_name(name)}.zarr"
        refusal = {"*": f"(?i)codec '(numcodecs[./])?{words}' is not supported|{words}"}
        yield Case(path, "zarr-python", f"zarr v{version}", f"codec {name}", store(version, **options), open_question=refusal)


CASES = list(cases())
