"""Writes chunks as h5py compresses them for AnnData: `python chunks.py FOLDER`.

One file per kind of data: pairs of (compressed size, size) as 32-bit little-endian numbers, each followed by the
zlib stream of a chunk. h5py's gzip is zlib at level 4; the sizes of chunks are those that h5py chooses.
"""

import sys
import zlib
from pathlib import Path

import numpy
import scipy.sparse

CHUNK = 65_536  # bytes of the chunks of a long one-dimensional dataset in h5py's automatic choice, about
TOTAL = 48 << 20


def shuffled(values):
    """The bytes by their place in the element, as HDF5's shuffle filter orders them."""
    return values.view(numpy.uint8).reshape(-1, values.itemsize).T.copy().tobytes()


def kinds():
    chance = numpy.random.default_rng(20_261_122)
    cells = scipy.sparse.random(8_000, 30_000, density=0.06, format="csr", rng=chance, dtype=numpy.float32)
    counts = numpy.ceil(chance.lognormal(0.3, 0.8, cells.nnz)).astype(numpy.float32)
    dense = numpy.cumsum(chance.standard_normal(TOTAL // 4), dtype=numpy.float32)
    yield "csr_indices", cells.indices.astype(numpy.int32), False
    yield "csr_counts", counts, False
    yield "csr_log1p", numpy.log1p(counts / 3), False
    yield "shuffled_floats", dense, True


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values, shuffle in kinds():
        values = values[: TOTAL // values.itemsize]
        step = CHUNK // values.itemsize
        with (folder / f"{name}.chunks").open("wb") as file:
            for start in range(0, len(values), step):
                part = values[start : start + step]
                plain = shuffled(part) if shuffle else part.tobytes()
                encoded = zlib.compress(plain, 4)
                file.write(numpy.array([len(encoded), len(plain)], "<u4").tobytes() + encoded)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
