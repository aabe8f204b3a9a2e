"""HDF5 files for questions of scale: matrices of very many rows, arrays of very many chunks.

A few blocks are compressed once and written again and again, so that ten million rows take seconds.
"""

import zlib

import h5py
import numpy

from data.sizes import SEED

GENES = 20_000
PER_ROW = 32
ROWS_PER_CHUNK = 512
BLOCKS = 16
ELEMENTS_PER_SMALL_CHUNK = 64


def matrix(path, rows):
    """A CSR matrix `X` of `rows` × GENES, with PER_ROW entries in each row; rows are a multiple of ROWS_PER_CHUNK."""
    chance = numpy.random.default_rng([SEED, 10])
    blocks = [block(chance) for _ in range(BLOCKS)]
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        shape = numpy.array([rows, GENES])
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
        pointers = numpy.arange(rows + 1, dtype="i8") * PER_ROW
        group.create_dataset("indptr", data=pointers, chunks=(min(65_536, rows + 1),), compression="gzip")
        for name, place in (("indices", 0), ("data", 1)):
            kind = ("i4", "f4")[place]
            per_chunk = PER_ROW * ROWS_PER_CHUNK
            part = group.create_dataset(name, (rows * PER_ROW,), kind, chunks=(per_chunk,), compression="gzip")
            for chunk in range(rows // ROWS_PER_CHUNK):
                part.id.write_direct_chunk((chunk * per_chunk,), blocks[chunk % BLOCKS][place])


def block(chance):
    """Compressed indices and values of the rows of one chunk."""
    steps = chance.integers(1, GENES // PER_ROW, (ROWS_PER_CHUNK, PER_ROW))
    indices = (numpy.cumsum(steps, axis=1) - 1).astype("i4")
    data = chance.integers(1, 20, (ROWS_PER_CHUNK, PER_ROW)).astype("f4")
    return zlib.compress(indices.tobytes(), 4), zlib.compress(data.tobytes(), 4)


def many_chunks(path, chunks):
    """A 1-D array `values` of `chunks` small gzip chunks."""
    values = numpy.arange(ELEMENTS_PER_SMALL_CHUNK, dtype="f4")
    stored = zlib.compress(values.tobytes(), 1)
    with h5py.File(path, "w") as file:
        shape = (chunks * ELEMENTS_PER_SMALL_CHUNK,)
        array = file.create_dataset("values", shape, "f4", chunks=(ELEMENTS_PER_SMALL_CHUNK,), compression="gzip")
        for chunk in range(chunks):
            array.id.write_direct_chunk((chunk * ELEMENTS_PER_SMALL_CHUNK,), stored)
