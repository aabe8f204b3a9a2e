"""Small files that hold one array of every type, filter and layout, made by the reference writers."""

import anndata
import h5py
import numcodecs
import numpy
import pandas
import scipy.sparse
import zarr
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ShardingCodec, ZstdCodec

DTYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i2", ">i4", ">u8", ">f4", ">f8", "bool")
HDF5_FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "shuffle_gzip": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "fletcher32": {"fletcher32": True},
    "lzf": {"compression": "lzf"},
    "shuffle_lzf_fletcher32": {"compression": "lzf", "shuffle": True, "fletcher32": True},
}


def values(dtype, shape):
    """Numbers that differ from each other as far as the type allows."""
    count = numpy.prod(shape, dtype=int)
    if dtype == "bool":
        return (numpy.arange(count) % 3 == 0).reshape(shape)
    numbers = (numpy.arange(count) * 37) % 127
    signed = numpy.dtype(dtype).kind != "u"
    return (numbers - (60 if signed else 0)).astype(dtype).reshape(shape)


def hdf5(path, libver):
    """Types, filters, layouts, texts and compounds; `libver` is h5py's choice of file format."""
    with h5py.File(path, "w", libver=libver) as file:
        for dtype in DTYPES:
            name = dtype.replace(">", "big_")
            file[f"type/{name}/contiguous"] = values(dtype, (9, 4))
            file.create_dataset(f"type/{name}/chunked", data=values(dtype, (9, 4)), chunks=(4, 3), compression="gzip")
            file[f"type/{name}/scalar"] = values(dtype, (3,))[1]
        for name, options in HDF5_FILTERS.items():
            file.create_dataset(f"filter/{name}", data=values("i4", (53, 21)), chunks=(10, 8), **options)
        file.create_dataset("layout/three", data=values("f4", (7, 6, 5)), chunks=(3, 4, 2), compression="gzip")
        file.create_dataset("layout/one_row_chunks", data=values("f8", (40, 3)), chunks=(1, 3))
        file.create_dataset("layout/resizable", data=values("i8", (30,)), maxshape=(None,), chunks=(7,))
        file.create_dataset("layout/empty", shape=(0, 4), dtype="f4")
        unwritten = file.create_dataset("layout/fill", shape=(20, 6), chunks=(5, 6), dtype="i4", fillvalue=-7)
        unwritten[5:8] = 3
        file.create_dataset("layout/never_written", shape=(12,), dtype="f8", fillvalue=2.5)
        compact(file, "layout/compact", values("i2", (5, 3)))
        texts = ["a", "", "längere Zeichen", "x" * 300, "end"]
        file.create_dataset("text/variable", data=texts, dtype=h5py.string_dtype())
        options = {"chunks": (4,), "compression": "gzip"}
        file.create_dataset("text/variable_chunked", data=texts * 9, dtype=h5py.string_dtype(), **options)
        file.create_dataset("text/fixed", data=numpy.array([b"ab", b"abcdef", b""], dtype="S6"))
        utf8 = numpy.array(["é".encode(), b"abc"], dtype=h5py.string_dtype("utf-8", 4))
        file.create_dataset("text/fixed_utf8", data=utf8)
        file["text/scalar"] = "one text"
        kind = numpy.dtype([("a", "<i4"), ("b", ">f8"), ("name", "S5"), ("pair", "<f4", (2,))])
        records = numpy.array([(1, 2.5, b"x", (1, 2)), (-3, 4.5, b"yyyyy", (3, 4))] * 6, dtype=kind)
        file.create_dataset("compound/contiguous", data=records)
        file.create_dataset("compound/chunked", data=records, chunks=(5,), compression="gzip")


def compact(file, name, data):
    """A dataset whose elements are in its header, which only the low-level calls make."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape)
    dataset = h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(data.dtype), space, properties)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def zarr_v2(path):
    """Types, compressors and chunk orders of zarr v2."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for dtype in DTYPES:
        add(group, f"type_{dtype.replace('>', 'big_')}", values(dtype, (9, 4)), chunks=(4, 3))
    compressors = {
        "none": None,
        "blosc_lz4": numcodecs.Blosc(cname="lz4", shuffle=1),
        "blosc_zstd_bit": numcodecs.Blosc(cname="zstd", shuffle=2),
        "zlib": numcodecs.Zlib(),
        "gzip": numcodecs.GZip(),
        "zstd": numcodecs.Zstd(),
        "bz2": numcodecs.BZ2(),
    }
    for name, compressor in compressors.items():
        add(group, f"compressor_{name}", values("i4", (53, 21)), chunks=(10, 8), compressors=compressor)
    add(group, "order_f", values("f4", (9, 8, 5)), chunks=(4, 3, 5), order="F")
    nested = {"name": "v2", "separator": "/"}
    add(group, "separator", values("i2", (9, 4)), chunks=(4, 3), chunk_key_encoding=nested)
    sparse = group.create_array("fill", shape=(20, 6), chunks=(5, 6), dtype="i4", fill_value=-7)
    sparse[5:8] = 3
    zarr.consolidate_metadata(path)


def zarr_v3(path):
    """Types, codecs and shards of zarr v3."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for dtype in DTYPES:
        add(group, f"type_{dtype.replace('>', 'big_')}", values(dtype, (9, 4)), chunks=(4, 3))
    for name, codec in {"gzip": GzipCodec(), "zstd": ZstdCodec(checksum=True), "blosc": BloscCodec(cname="lz4")}.items():
        add(group, f"codec_{name}", values("i4", (53, 21)), chunks=(10, 8), compressors=codec)
    add(group, "shards", values("f4", (53, 21)), chunks=(5, 4), shards=(20, 12), compressors=ZstdCodec())
    sharding = ShardingCodec(chunk_shape=(5, 7), codecs=[BytesCodec()], index_location="start")
    add(group, "shards_index_first", values("i8", (53, 21)), chunks=(20, 21), serializer=sharding, compressors=None)
    sparse = group.create_array("fill", shape=(20, 6), chunks=(5, 6), dtype="i4", fill_value=-7)
    sparse[5:8] = 3
    group.create_group("inner").create_array("deep", data=values("f8", (6,)), chunks=(4,))


def add(group, name, data, **options):
    """One array with its elements."""
    array = group.create_array(name, shape=data.shape, dtype=data.dtype, **options)
    array[...] = data


def anndata_columns():
    """An AnnData with every kind of column, and elements of less usual kinds."""
    count = 30
    obs = pandas.DataFrame(index=pandas.Index([f"c{position}" for position in range(count)], name="cell_id"))
    obs["ordered"] = pandas.Categorical(["low", "high", None] * 10, categories=["low", "mid", "high"], ordered=True)
    obs["numbers"] = pandas.Categorical([3, 1, 2] * 10)
    obs["float"] = [0.5, numpy.nan, -1.0] * 10
    obs["small"] = numpy.arange(count, dtype="uint8")
    obs["nullable_small"] = pandas.array([1, None, 3] * 10, dtype="UInt16")
    obs["nullable_bool"] = pandas.array([True, None, False] * 10, dtype="boolean")
    obs["text"] = ["a", "ü" * 50, ""] * 10
    obs['späte Spalte, with "signs"'] = numpy.arange(count)
    data = anndata.AnnData(X=scipy.sparse.random(count, 12, density=0.3, format="csr", dtype="float64", rng=2), obs=obs)
    data.layers["integers"] = scipy.sparse.csr_matrix((data.X > 0.5).astype("int32"))
    data.layers["empty"] = scipy.sparse.csc_matrix((count, 12), dtype="float32")
    data.layers["dense"] = values("i2", (count, 12))
    data.obsm["sparse"] = scipy.sparse.random(count, 5, density=0.4, format="csr", dtype="float32", rng=3)
    data.obsm["three"] = values("f4", (count, 3, 2))
    data.obsm["frame"] = pandas.DataFrame({"a": numpy.arange(count), "b": ["t"] * count}, index=obs.index)
    data.uns["scalar"] = 2.5
    data.uns["flag"] = True
    data.uns["word"] = "text"
    data.uns["nested"] = {"deep": {"numbers": numpy.arange(4), "count": 7}}
    data.uns["matrix"] = values("f8", (4, 3))
    return data
