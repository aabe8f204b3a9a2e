"""Random arrays in HDF5 files and zarr stores, and random sparse matrices in AnnData of both.

Each is written with a random type, shape, chunking and filter; a seed gives the same file again.
"""

import random
from dataclasses import dataclass
from typing import Any

import anndata
import h5py
import hdf5plugin
import numcodecs
import numpy
import pandas
import scipy.sparse
import zarr
from anndata.io import write_elem
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from .corpus.case import FLOATS, INTEGERS, numbers

TYPES = (*INTEGERS, *FLOATS, "?", ">i2", ">u4", ">f8")
HDF5_FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "shuffle, gzip": {"compression": "gzip", "shuffle": True},
    "fletcher32": {"fletcher32": True},
    "lzf": {"compression": "lzf", "shuffle": True},
    "szip": {"compression": "szip"},
    "zstd": hdf5plugin.Zstd(),
    "lz4": hdf5plugin.LZ4(),
    "blosc": hdf5plugin.Blosc(cname="lz4"),
    "bitshuffle": hdf5plugin.Bitshuffle(cname="lz4"),
    "bzip2": hdf5plugin.BZip2(),
}
ZARR_CODECS = {
    2: {
        "none": {"compressors": None},
        "zstd": {"compressors": numcodecs.Zstd()},
        "gzip": {"compressors": numcodecs.GZip(1)},
        "blosc": {"compressors": numcodecs.Blosc(cname="zstd", shuffle=1)},
        "bz2": {"compressors": numcodecs.BZ2()},
        "column order": {"order": "F"},
    },
    3: {
        "none": {"compressors": None},
        "zstd": {"compressors": ZstdCodec(checksum=True)},
        "gzip": {"compressors": GzipCodec(level=1)},
        "blosc": {"compressors": BloscCodec(cname="lz4")},
        "crc32c": {"compressors": Crc32cCodec()},
        "turned": {"filters": "turned"},
        "shards": {"shards": "some"},
        "shards, not compressed": {"shards": "some", "compressors": None},
    },
}


@dataclass
class Made:
    """One random array: where it is, what it holds, and how to make it again."""

    key: str
    node: str
    values: Any
    recipe: dict


def shape_and_chunks(chance):
    """A shape of one to four dimensions, now and then empty, and chunks that rarely divide it."""
    rank = chance.choice((1, 2, 2, 2, 3, 4))
    most = {1: 200, 2: 40, 3: 12, 4: 7}[rank]
    shape = tuple(chance.randint(0 if chance.random() < 0.03 else 1, most) for _ in range(rank))
    return shape, tuple(chance.randint(1, max(1, length)) for length in shape)


def hdf5_file(path, key, seed, count):
    """A file of `count` random datasets."""
    chance, made = random.Random(f"hdf5 {seed}"), []
    version = chance.choice((("earliest", "latest"), ("v108", "v108"), ("v110", "v110"), ("latest", "latest")))
    with h5py.File(path, "w", libver=version) as file:
        for position in range(count):
            (shape, chunks), kind = shape_and_chunks(chance), chance.choice(TYPES)
            name = chance.choice(list(HDF5_FILTERS))
            layout = chance.choice(("chunked", "chunked", "resizable", "contiguous"))
            if 0 in shape or layout == "contiguous":
                options, name, layout = {}, "none", "contiguous"
            else:
                name = "gzip" if name == "szip" and numpy.dtype(kind).itemsize * numpy.prod(chunks) < 64 else name
                options = {"chunks": chunks, **HDF5_FILTERS[name]}
                options |= {"maxshape": (None,) * len(shape)} if layout == "resizable" else {}
            node = f"group{position % 3}/array{position}"
            values = numbers(int(numpy.prod(shape)), kind, seed=seed * 1000 + position).reshape(shape)
            file.create_dataset(node, data=values, **options)
            recipe = {"seed": seed, "libver": version[0], "shape": shape, "chunks": chunks, "type": kind, "filter": name, "layout": layout}
            made.append(Made(key, node, values, recipe))
    return made


def zarr_store(path, key, seed, count, version):
    """A store of `count` random arrays."""
    chance, made = random.Random(f"zarr {version} {seed}"), []
    group = zarr.open_group(path, mode="w", zarr_format=version)
    for position in range(count):
        (shape, chunks), kind = shape_and_chunks(chance), chance.choice(TYPES)
        name = chance.choice(list(ZARR_CODECS[version]))
        options = dict(ZARR_CODECS[version][name])
        if options.get("filters") == "turned":
            order = list(range(len(shape)))
            chance.shuffle(order)
            options["filters"] = [TransposeCodec(order=tuple(order))]
        if options.get("shards") == "some":
            options["shards"] = tuple(chunk * chance.randint(1, 3) for chunk in chunks)
        values = numbers(int(numpy.prod(shape)), kind, seed=seed * 1000 + position).reshape(shape)
        kept = numpy.dtype(kind).newbyteorder("=") if version == 3 else values.dtype
        node = f"array{position}"
        array = group.create_array(node, shape=shape, chunks=chunks, dtype=kept, fill_value=0, **options)
        array[...] = values
        recipe = {"seed": seed, "version": version, "shape": shape, "chunks": chunks, "type": kind, "codec": name}
        made.append(Made(key, node, values, recipe))
    zarr.consolidate_metadata(path)
    return made


def sparse_file(path, key, seed, count, version=None):
    """An AnnData with `count` random matrices in layers: h5ad, or zarr of a version."""
    chance, made = random.Random(f"sparse {version} {seed}"), []
    shape = (chance.randint(1, 60), chance.randint(1, 40))
    names = [pandas.DataFrame(index=[f"{letter}{position}" for position in range(length)]) for letter, length in zip("ov", shape, strict=True)]
    data = anndata.AnnData(obs=names[0], var=names[1])
    with anndata.settings.override(zarr_write_format=version or 3):
        data.write_h5ad(path) if version is None else data.write_zarr(path)
        root = h5py.File(path, "r+") if version is None else zarr.open_group(path, mode="r+", use_consolidated=False)
        for position in range(count):
            form, kind = chance.choice(("csr", "csc")), chance.choice(("f4", "f8", "i4", "u2", "i8"))
            matrix = scipy.sparse.random(*shape, density=chance.choice((0, 0.05, 0.3, 1)), format=form, rng=seed * 1000 + position)
            matrix.data = numpy.ceil(matrix.data * 200)
            matrix = matrix.astype(kind)
            if chance.random() < 0.3:
                matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
            chunk = chance.randint(1, 50)
            options = {"chunks": (chunk,)} if matrix.nnz else {}
            filtered = version is None and matrix.nnz and chance.random() < 0.6
            options |= {"compression": "gzip", "shuffle": True} if filtered else {}
            write_elem(root, f"layers/m{position}", matrix, dataset_kwargs=options)
            recipe = {"seed": seed, "version": version, "shape": shape, "form": form, "type": kind, "chunk": chunk, "gzip": bool(filtered)}
            made.append(Made(key, f"layers/m{position}", matrix, recipe))
        if version is None:
            root.close()
        else:
            zarr.consolidate_metadata(path)
    return made
