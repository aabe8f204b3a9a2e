"""Writes the files of the benches of single steps: `python data.py FOLDER`. Nothing when they are there.

Arrays are compressed as anndata, h5py and zarr do by default; numbers are like those of single cells.
"""

import sys
from pathlib import Path

import anndata
import h5py
import numcodecs
import numpy
import pandas
import scipy.sparse
import zarr

CELLS, GENES, DENSITY = 20_000, 5_000, 0.068


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    if done.exists():
        return
    chance = numpy.random.default_rng(20_261_122)
    cells = scipy.sparse.random(CELLS, GENES, density=DENSITY, format="csr", rng=chance, dtype=numpy.float32)
    cells.data = numpy.ceil(chance.lognormal(0.3, 0.8, cells.nnz)).astype(numpy.float32)
    indices = cells.indices.astype(numpy.int32)[: 2 << 20]
    grid = numpy.cumsum(chance.standard_normal((2048, 1024)), axis=0, dtype=numpy.float32)
    with h5py.File(folder / "arrays.h5", "w") as file:
        file.create_dataset("indices", data=indices, chunks=(26_689,), compression="gzip")
        file.create_dataset("counts", data=cells.data[: 2 << 20], chunks=(26_689,), compression="gzip")
        file.create_dataset("grid", data=grid, chunks=(256, 1024), compression="gzip", shuffle=True)
        rows = numpy.tile(grid, (10, 1))[:CELLS]
        file.create_dataset("rows", data=rows, chunks=(256, 1024), compression="gzip", compression_opts=1, shuffle=True)
    blosc = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    group = zarr.open_group(folder / "v2.zarr", mode="w", zarr_format=2)
    group.create_array("indices", shape=indices.shape, chunks=(427_015,), dtype="i4", compressors=blosc)[:] = indices
    group = zarr.open_group(folder / "v3.zarr", mode="w", zarr_format=3)
    group.create_array("indices", shape=indices.shape, chunks=(65_536,), dtype="i4")[:] = indices
    names = [pandas.DataFrame(index=[f"{word}{at}" for at in range(most)]) for word, most in (("c", CELLS), ("g", GENES))]
    anndata.AnnData(cells, obs=names[0], var=names[1]).write_h5ad(folder / "cells.h5ad", compression="gzip")
    done.touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
