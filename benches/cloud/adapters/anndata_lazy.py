"""`anndata.experimental.read_lazy`: on a zarr store over obstore, and on h5py over s3fs."""

import numpy
from anndata.experimental import read_lazy

from adapters import h5py_s3fs, zarr_python


class Adapter:
    """Opens the whole object lazily for each task, and computes what is asked for."""

    def __init__(self, context):
        self.context = context
        kind = (
            zarr_python.Adapter(context)
            if context.dataset.startswith("zarr")
            else h5py_s3fs.Adapter(context, cache="8")
        )
        self.root = kind.root

    def rows(self, positions):
        """Rows of X in memory."""
        return read_lazy(self.root())[positions].X.compute()

    def filtered_rows(self):
        lazy = read_lazy(self.root())
        wanted = self.context.wanted(lazy.obs[["cell_type", "percent_mito"]].to_memory())
        return lazy[numpy.flatnonzero(wanted)].X.compute()

    def contiguous_rows(self):
        return self.rows(slice(*self.context.sizes.contiguous))

    def random_rows(self):
        return self.rows(self.context.random_rows)

    def embedding(self):
        return read_lazy(self.root()).obsm["X_pca"].compute()
