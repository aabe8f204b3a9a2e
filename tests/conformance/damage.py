"""Files with changed bytes, and of each array in them whether a checksum guards what was changed.

An array's answer may differ from what was written only when a changed byte of no checksum decides it: a byte of one of
its own chunks without a checksum, or of metadata without one. Checksums are: fletcher32, crc32c, the Adler-32 and CRC
of zlib, gzip and bzip2, zstd's when the writer asked for it, an archive's of a whole entry; and of metadata, those of
HDF5's newer structures.
"""

import shutil
import struct
import zipfile
from dataclasses import dataclass, field

import anndata
import h5py
import hdf5plugin
import numcodecs
import numpy
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec
from zarr.storage import ZipStore

from .corpus import anndata_files
from .corpus.case import numbers, smooth, texts
from .corpus.hdf5 import open_new

GUARDED_FILTERS = (1, 3, 307)  # deflate, fletcher32, bzip2
GUARDED_CODECS = ("crc32c", "gzip", "zlib", "bz2", "fletcher32")


@dataclass
class Extent:
    """Bytes [start, stop) of an object, which belong to the elements of `node` or, without one, to metadata."""

    path: str
    start: int
    stop: int
    node: str = ""
    guarded: bool = False


@dataclass
class Subject:
    """A file that will be damaged: how it is written, and what it holds."""

    name: str
    write: object
    guarded_metadata: bool = False
    extents: list = field(default_factory=list)


def hdf5_arrays(file):
    """Arrays with and without checksums, in each layout."""
    file["contiguous"] = numbers(60, "f8").reshape(12, 5)
    for name, options in {
        "plain": {},
        "gzip": {"compression": "gzip"},
        "fletcher32": {"fletcher32": True},
        "shuffle_gzip_fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "lzf": {"compression": "lzf"},
        "lzf_fletcher32": {"compression": "lzf", "fletcher32": True},
    }.items():
        file.create_dataset(name, data=smooth((40, 9)), chunks=(8, 4), **options)
    file.create_dataset("resizable", data=smooth((40, 9)), chunks=(8, 4), maxshape=(None, None), fletcher32=True)
    file.create_dataset("appended", data=numbers(99, "i8"), chunks=(10,), maxshape=(None,), fletcher32=True)


def hdf5_plugins(file):
    """Arrays through other filters, each alone and with a checksum behind it."""
    filters = {"zstd": hdf5plugin.Zstd(), "lz4": hdf5plugin.LZ4(), "blosc": hdf5plugin.Blosc(), "bzip2": hdf5plugin.BZip2()}
    filters["blosc2"] = hdf5plugin.Blosc2(cname="lz4")
    filters |= {"bitshuffle": hdf5plugin.Bitshuffle(cname="lz4"), "szip": {"compression": "szip"}, "scaleoffset": {"scaleoffset": 0}}
    for name, options in filters.items():
        file.create_dataset(name, data=smooth((40, 9)), chunks=(20, 9), **options)
        if name != "scaleoffset":
            file.create_dataset(f"{name}_fletcher32", data=smooth((40, 9)), chunks=(20, 9), fletcher32=True, **options)


def hdf5_texts(file):
    """Texts in global heaps, records, groups."""
    file.create_dataset("texts", data=texts(40), dtype=h5py.string_dtype(), chunks=(9,), compression="gzip")
    file.create_dataset("group/plain", data=texts(12), dtype=h5py.string_dtype())
    rows = numpy.zeros(20, [("a", "<i4"), ("name", "S6"), ("b", ">f8")])
    rows["a"], rows["name"] = numpy.arange(20), b"abc"
    file.create_dataset("group/records", data=rows, chunks=(7,), fletcher32=True)


def zarr_2(path):
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for name, options in {
        "plain": {"compressors": None},
        "gzip": {"compressors": numcodecs.GZip()},
        "zlib": {"compressors": numcodecs.Zlib()},
        "bz2": {"compressors": numcodecs.BZ2()},
        "zstd": {"compressors": numcodecs.Zstd()},
        "zstd_checked": {"compressors": numcodecs.Zstd(checksum=True)},
        "blosc": {"compressors": numcodecs.Blosc(cname="zstd")},
        "fletcher32": {"compressors": None, "filters": [numcodecs.Fletcher32()]},
    }.items():
        group.create_array(name, data=smooth((40, 9)), chunks=(16, 9), **options)


def zarr_3(path):
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for name, codecs in {
        "plain": None,
        "gzip": GzipCodec(),
        "crc32c": Crc32cCodec(),
        "zstd": ZstdCodec(),
        "zstd_checked": ZstdCodec(checksum=True),
        "blosc": BloscCodec(cname="lz4"),
        "blosc_crc32c": [BloscCodec(cname="lz4"), Crc32cCodec()],
    }.items():
        group.create_array(name, data=smooth((40, 9)), chunks=(16, 9), compressors=codecs)
    zarr.consolidate_metadata(path)


def zarr_shards(path):
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for name, inner in {"plain": [BytesCodec()], "crc32c": [BytesCodec(), Crc32cCodec()], "gzip": [BytesCodec(), GzipCodec()]}.items():
        codec = ShardingCodec(chunk_shape=(4, 3), codecs=inner)
        array = group.create_array(name, shape=(40, 9), dtype="i4", chunks=(16, 9), serializer=codec, compressors=None)
        array[...] = smooth((40, 9))
    zarr.consolidate_metadata(path)


def zarr_zip(compression):
    """A store in one archive: chunks that are compressed or checked, and ones that are read in parts.

    zarr-python writes entries in no fixed order and with the time of day; here the same bytes come again.
    """

    def write(path):
        store = {}
        group = zarr.open_group(zarr.storage.MemoryStore(store), mode="w", zarr_format=3)
        for name, options in {
            "plain": {"compressors": None},
            "zstd": {"compressors": ZstdCodec()},
            "blosc": {"compressors": BloscCodec(cname="lz4")},
            "crc32c": {"compressors": Crc32cCodec()},
            "sharded": {"compressors": None, "shards": (128, 36)},
            "sharded_gzip": {"compressors": GzipCodec(), "shards": (128, 36)},
        }.items():
            group.create_array(name, data=smooth((160, 36)), chunks=(64, 36), **options)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in sorted(store.items()):
                archive.writestr(zipfile.ZipInfo(name), content.to_bytes(), compression)

    return write


def h5ad(make):
    def write(path):
        make().write_h5ad(path, compression="gzip")

    return write


def anndata_zarr(path):
    with anndata.settings.override(zarr_write_format=2):
        anndata_files.raw().write_zarr(path)


def hdf5(version, contents):
    def write(path):
        with open_new(path, version) as file:
            contents(file)

    return write


def subjects():
    """Every kind of file that is damaged."""
    return [
        Subject("arrays_earliest.h5", hdf5("earliest", hdf5_arrays)),
        Subject("arrays_latest.h5", hdf5("latest", hdf5_arrays), guarded_metadata=True),
        Subject("plugins_earliest.h5", hdf5("earliest", hdf5_plugins)),
        Subject("plugins_latest.h5", hdf5("latest", hdf5_plugins), guarded_metadata=True),
        Subject("texts_earliest.h5", hdf5("earliest", hdf5_texts)),
        Subject("texts_v110.h5", hdf5("v110", hdf5_texts)),
        Subject("sparse.h5ad", h5ad(anndata_files.raw)),
        Subject("dense.h5ad", h5ad(anndata_files.no_x)),
        Subject("anndata.zarr", anndata_zarr),
        Subject("version2.zarr", zarr_2),
        Subject("version3.zarr", zarr_3),
        Subject("shards.zarr", zarr_shards),
        Subject("stored.zarr.zip", zarr_zip(zipfile.ZIP_STORED)),
        Subject("deflated.zarr.zip", zarr_zip(zipfile.ZIP_DEFLATED)),
    ]


def extents(path):
    """Where the elements of each array lie in a file; everything else is metadata."""
    find = zip_extents if zipfile.is_zipfile(path) else zarr_extents if path.is_dir() else hdf5_extents
    found = find(path)
    return sorted(found, key=lambda extent: (extent.path, extent.start))


def hdf5_extents(path):
    with h5py.File(path) as file:
        arrays = []
        file.visititems(lambda name, node: arrays.append((name, node)) if isinstance(node, h5py.Dataset) else None)
        for name, node in arrays:
            properties = node.id.get_create_plist()
            filters = [properties.get_filter(position)[0] for position in range(properties.get_nfilters())]
            guarded = any(filter in GUARDED_FILTERS for filter in filters)
            if node.chunks:
                chunks = []
                node.id.chunk_iter(chunks.append)
                for chunk in chunks:
                    end = chunk.byte_offset + chunk.size
                    yield Extent("", chunk.byte_offset, end, name, guarded and chunk.filter_mask == 0)
            elif node.id.get_offset() is not None:
                yield Extent("", node.id.get_offset(), node.id.get_offset() + node.nbytes, name)


def zarr_extents(path):
    root = zarr.open_group(path, mode="r", use_consolidated=False)
    for name, node in root.members(max_depth=None):
        if isinstance(node, zarr.Array):
            for file in sorted((path / name).rglob("*")):
                if file.is_file() and file.name not in ("zarr.json", ".zarray", ".zattrs"):
                    yield Extent(str(file.relative_to(path)), 0, file.stat().st_size, name, guarded_codecs(node))


def zip_extents(path):
    """Contents of the archive's entries. Whole ones are checked by their CRC-32; parts of stored ones are not."""
    with ZipStore(path, mode="r") as store, zipfile.ZipFile(path) as archive:
        arrays = dict(zarr.open_group(store, mode="r").arrays())
        for entry in archive.infolist():
            with open(path, "rb") as stream:
                stream.seek(entry.header_offset + 26)
                start = entry.header_offset + 30 + sum(struct.unpack("<HH", stream.read(4)))
            node = "" if entry.filename.endswith("zarr.json") else entry.filename.split("/")[0]
            in_parts = node and (arrays[node].shards or not arrays[node].compressors)
            guarded = not in_parts or entry.compress_type != zipfile.ZIP_STORED or guarded_codecs(arrays[node])
            yield Extent("", start, start + entry.compress_size, node, guarded)


def guarded_codecs(array):
    """Whether one of an array's codecs (of a shard: of its inner chunks) has a checksum; a shard's index has one too."""
    if array.metadata.zarr_format == 2:
        codecs = [codec.get_config() for codec in (array.metadata.compressor, *(array.metadata.filters or ())) if codec]
        return any(codec["id"] in GUARDED_CODECS or codec.get("checksum") for codec in codecs)
    codecs = array.metadata.to_dict()["codecs"]
    if codecs[0]["name"] == "sharding_indexed":
        codecs = codecs[0]["configuration"]["codecs"]
    return any(codec["name"] in GUARDED_CODECS or codec.get("configuration", {}).get("checksum") for codec in codecs)


def changed_copy(chance, original, copy, found):
    """Copies a file or store and changes some bytes of it, in chunks or anywhere; gives the changed places."""
    if original.is_dir():
        shutil.copytree(original, copy)
        files = sorted(file for file in copy.rglob("*") if file.is_file() and file.stat().st_size)
    else:
        shutil.copy(original, copy)
        files = [copy]
    places = []
    among = chance.choice(("chunks", "anywhere", "anywhere"))
    for _ in range(chance.choice((1, 1, 2, 4, 8, 15))):
        if among == "chunks" and found:
            extent = chance.choice(found)
            file = copy / extent.path if extent.path else copy
            offset = chance.randrange(extent.start, extent.stop)
        else:
            file = chance.choice(files)
            offset = chance.randrange(file.stat().st_size)
        places.append((str(file.relative_to(copy)) if file != copy else "", offset))
    for path, offset in places:
        flip(chance, copy / path if path else copy, offset)
    return sorted(set(places))


def flip(chance, file, offset):
    """Changes one byte of a file to another value."""
    with open(file, "r+b") as stream:
        stream.seek(offset)
        old = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([old ^ chance.randint(1, 255)]))


def may_differ(subject, places, node):
    """Whether a changed byte without a checksum decides what `node` holds."""
    return any(not guarded(subject, place, node) for place in places)


def guarded(subject, place, node):
    """Whether the byte at `place` has a checksum, or is an element of another array."""
    path, offset = place
    for extent in subject.extents:
        if extent.path == path and extent.start <= offset < extent.stop:
            below = extent.node == node or extent.node.startswith(f"{node}/")
            return extent.guarded or not below
    return subject.guarded_metadata
