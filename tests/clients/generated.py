"""Files that are made while the tests run: large or regular enough to count requests and memory on."""

import anndata
import h5py
import numpy
import pandas
import scipy.sparse
import zarr
from anndata.io import write_elem

CELLS, GENES, CHUNK_ROWS = 4000, 1000, 100


def chunked_h5ad(path):
    """Dense float32 X of 4000 × 1000 in gzip chunks of 100 rows (about 370 kB each); gives X and obs."""
    source = numpy.random.default_rng(7)
    x = source.standard_normal((CELLS, GENES), dtype="float32")
    obs = pandas.DataFrame({"group": pandas.Categorical(["even", "odd"] * (CELLS // 2))})
    obs["position"] = numpy.arange(CELLS)
    obs.index = pandas.Index([f"cell{position}" for position in range(CELLS)], name="barcode")
    var = pandas.DataFrame(index=pandas.Index([f"gene{position}" for position in range(GENES)], name="gene"))
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        options = {"chunks": (CHUNK_ROWS, GENES), "compression": "gzip", "compression_opts": 1}
        write_elem(file, "X", x, dataset_kwargs=options)
        write_elem(file, "obs", obs)
        write_elem(file, "var", var)
        for group in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
            write_elem(file, group, {})
    return x, obs


def chunk_ranges(path, dataset):
    """Byte range [first, last + 1] of every chunk of an HDF5 dataset by its first row."""
    with h5py.File(path) as file:
        identity = file[dataset].id
        infos = [identity.get_chunk_info(position) for position in range(identity.get_num_chunks())]
    return {info.chunk_offset[0]: [info.byte_offset, info.byte_offset + info.size] for info in infos}


def many_objects(path, rows=400, width=5000):
    """A zarr v2 store with one array `values` of `rows` float32 rows, each its own object; gives the array."""
    values = numpy.random.default_rng(3).standard_normal((rows, width), dtype="float32")
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("values", data=values, chunks=(1, width), compressors=None)
    zarr.consolidate_metadata(path)
    return values


def sharded_store(path, rows=4000, width=100):
    """A zarr v3 store with one float32 array `values` in shards of 1000 × 100 and inner chunks of 50 × 50; gives the array."""
    values = numpy.random.default_rng(5).standard_normal((rows, width), dtype="float32")
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("values", data=values, chunks=(50, 50), shards=(1000, 100))
    zarr.consolidate_metadata(path)
    return values


def inner_chunk_ranges(shard, inner_rows=20, inner_columns=2):
    """Of the file of one such shard: the byte range of its index, and of each inner chunk by its place in the shard."""
    content = shard.read_bytes()
    start = len(content) - inner_rows * inner_columns * 16 - 4
    entries = numpy.frombuffer(content[start:-4], "<u8").reshape(inner_rows, inner_columns, 2).tolist()
    chunks = {
        (row, column): [offset, offset + length]
        for row, columns in enumerate(entries)
        for column, (offset, length) in enumerate(columns)
    }
    return [start, len(content)], chunks


def large_array(path, megabytes, compression):
    """One float32 dataset `values` of rows of 4 KiB, written piece by piece; row r holds r, r + 1, …"""
    width, piece = 1024, 4096
    rows = megabytes * (1 << 20) // (4 * width)
    with h5py.File(path, "w") as file:
        options = {"chunks": (256, width), "compression": "gzip", "compression_opts": 1} if compression else {}
        dataset = file.create_dataset("values", (rows, width), dtype="float32", **options)
        for start in range(0, rows, piece):
            dataset[start : start + piece] = large_rows(start, min(piece, rows - start), width)
    return rows, width


def large_rows(start, count, width):
    """Rows [start, start + count) of `large_array`."""
    return (numpy.arange(start, start + count)[:, None] + numpy.arange(width)[None, :]).astype("float32")


def columns_h5ad(path, rows, columns, per_column, **options):
    """X of float32, stored by columns, each with `per_column` entries at random rows; gives the matrix."""
    chance = numpy.random.default_rng(5)
    indices = numpy.sort(chance.integers(0, rows // per_column, (columns, per_column)), axis=1)
    indices = (numpy.arange(per_column) * (rows // per_column) + indices).astype("i4")
    data = chance.random((columns, per_column)).astype("f4")
    pointers = numpy.arange(columns + 1) * per_column
    matrix = scipy.sparse.csc_matrix((data.ravel(), indices.ravel(), pointers), shape=(rows, columns))
    anndata.AnnData(matrix).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["X"]
        write_elem(file, "X", matrix, dataset_kwargs=options)
    return matrix
