"""Where the chunks of the HDF5 files lie, for the bare client: read from the local files before anything is measured.

Names are part of it, as they lie in heaps that only libhdf5 reads; numbers are not, but for shapes and types.
"""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy

VARIABLE = "BENCH_CHUNK_INDEXES"
ARRAYS = {
    "gzip": ("X/data", "X/indices", "X/indptr", "obs/cell_type/codes", "obs/percent_mito", "obsm/X_pca"),
    "grid": ("field",),
}
NAMES = {"gzip": ("obs/cell_type/categories", "var/gene")}


@dataclass(frozen=True)
class Array:
    """An array of gzipped chunks; `offsets` and `sizes` have a place for each chunk."""

    shape: tuple
    chunk: tuple
    dtype: numpy.dtype
    shuffled: bool
    offsets: numpy.ndarray
    sizes: numpy.ndarray


def variables(folder):
    """The environment of a process that is to find the indexes in `folder`."""
    return {VARIABLE: str(folder)}


def prepare(folder, store, datasets):
    """Writes the indexes of those data sets that have one."""
    for dataset in set(datasets) & set(ARRAYS):
        with h5py.File(store.path(dataset)) as file:
            found = {name: described(file[name]) for name in ARRAYS[dataset]}
            found |= {name: file[name].asstr()[:].tolist() for name in NAMES.get(dataset, ())}
        (Path(folder) / f"chunks-{dataset}.pickle").write_bytes(pickle.dumps(found))


def load(dataset):
    """Arrays and lists of names by their paths."""
    return pickle.loads((Path(os.environ[VARIABLE]) / f"chunks-{dataset}.pickle").read_bytes())


def described(dataset):
    """One dataset of a file; raises RuntimeError for what the bare client does not decode."""
    places = [-(-length // deep) for length, deep in zip(dataset.shape, dataset.chunks, strict=True)]
    offsets, sizes = numpy.zeros(places, "i8"), numpy.zeros(places, "i8")
    masks = set()

    def note(chunk):
        place = tuple(start // deep for start, deep in zip(chunk.chunk_offset, dataset.chunks, strict=True))
        offsets[place], sizes[place] = chunk.byte_offset, chunk.size
        masks.add(chunk.filter_mask)

    dataset.id.chunk_iter(note)
    if dataset.compression != "gzip" or masks != {0} or not sizes.all():
        raise RuntimeError(f"{dataset.name} has chunks that are absent or not gzipped")
    return Array(dataset.shape, dataset.chunks, dataset.dtype, dataset.shuffle, offsets, sizes)
