"""h5py on a file object of s3fs, with anndata's own readers for sparse matrices and tables.

`cache` is what s3fs does by itself (`default`: read-ahead of 50 MiB), or blocks of so many MiB kept in memory.
"""

import h5py
import numpy
import pandas
import s3fs
from anndata.io import read_elem, sparse_dataset


class Adapter:
    """Opens the file for each task."""

    def __init__(self, context, cache="default"):
        self.context, self.cache = context, cache

    def root(self):
        """The open file."""
        context = self.context
        system = s3fs.S3FileSystem(
            key=context.access_key, secret=context.secret_key, endpoint_url=context.endpoint, skip_instance_cache=True
        )
        options = {} if self.cache == "default" else {"cache_type": "blockcache", "block_size": int(self.cache) << 20}
        return h5py.File(system.open(f"{context.bucket}/{context.key}", "rb", **options))

    def tree(self):
        """All names by `visititems`, or, with a block cache, only what is asked for by `keys`."""
        root = self.root()
        if self.cache != "default":
            return {name: list(root[name]) for name in root}
        paths, found = [], {}
        root.visititems(lambda name, _: paths.append(name.split("/")))
        for path in paths:
            names = found.setdefault(path[0], [])
            names.extend(path[1:] if len(path) == 2 else [])
        return found

    def filtered_rows(self):
        root = self.root()
        columns = {name: read_elem(root["obs"][name]) for name in ("cell_type", "percent_mito")}
        wanted = self.context.wanted(pandas.DataFrame(columns))
        return sparse_dataset(root["X"])[numpy.flatnonzero(wanted)]

    def contiguous_rows(self):
        return sparse_dataset(self.root()["X"])[slice(*self.context.sizes.contiguous)]

    def random_rows(self):
        return sparse_dataset(self.root()["X"])[self.context.random_rows]

    def gene(self):
        root = self.root()
        names = list(read_elem(root["var"][root["var"].attrs["_index"]]))
        return sparse_dataset(root["X"])[:, [names.index(self.context.gene_name)]].toarray()[:, 0]

    def embedding(self):
        return self.root()["obsm/X_pca"][:]

    def hyperslab(self):
        return self.root()["field"][self.context.window]
