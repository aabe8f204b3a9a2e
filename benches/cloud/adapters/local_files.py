"""The same tasks with h5py, zarr and pyarrow on local files, read plainly: what every other answer is compared with."""

from functools import cached_property

import h5py
import numpy
import pandas
import pyarrow.dataset
import scipy.sparse
import zarr
from anndata.io import read_elem
from pyarrow import compute

from data import sizes as scales


class Adapter:
    """Reads whole arrays of the files in `bucket` and slices them in memory."""

    def __init__(self, context, bucket):
        self.context, self.path = context, f"{bucket}/{context.key}"

    def root(self):
        """The open file or store."""
        return zarr.open_group(self.path, mode="r") if self.path.endswith(".zarr") else h5py.File(self.path)

    def tree(self):
        root = self.root()
        return {name: list(root[name]) for name in root}

    @cached_property
    def matrix(self):
        """X, read once for all tasks."""
        group = self.root()["X"]
        parts = [group[name][:] for name in ("data", "indices", "indptr")]
        return scipy.sparse.csr_matrix(tuple(parts), shape=tuple(group.attrs["shape"]), copy=False)

    def filtered_rows(self):
        obs = read_elem(self.root()["obs"])
        return self.matrix[numpy.flatnonzero(self.context.wanted(obs))]

    def contiguous_rows(self):
        return self.matrix[slice(*self.context.sizes.contiguous)]

    def random_rows(self):
        return self.matrix[self.context.random_rows]

    def gene(self):
        names = pandas.Index(read_elem(self.root()["var"]).index)
        return self.matrix[:, [names.get_loc(self.context.gene_name)]].toarray()[:, 0]

    def embedding(self):
        return self.root()["obsm/X_pca"][:]

    def hyperslab(self):
        return self.root()["field"][self.context.window]

    def dataset(self):
        return pyarrow.dataset.dataset(self.path, partitioning="hive")

    def filtered_table(self):
        whole = self.dataset().to_table()
        types = compute.is_in(whole["cell_type"].cast("string"), pyarrow.array(scales.WANTED_TYPES))
        wanted = compute.and_(types, compute.less_equal(whole["percent_mito"], scales.MOST_MITO))
        wanted = compute.and_(wanted, compute.equal(whole["tissue"].cast("string"), scales.WANTED_TISSUE))
        return whole.filter(wanted).select(list(scales.TABLE_COLUMNS))

    def whole_table(self):
        return self.dataset().to_table(columns=list(scales.TABLE_COLUMNS))
