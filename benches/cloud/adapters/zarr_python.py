"""zarr-python with anndata's readers, over obstore or fsspec, with its own codecs or those of zarrs.

`concurrency` is zarr's setting `async.concurrency`, the chunks that are asked for at once; absent, zarr's default.
"""

import numpy
import pandas
import s3fs
import zarr
import zarr.storage
from anndata.io import read_elem, sparse_dataset

from adapters import object_store


class Adapter:
    """Opens the store for each task."""

    def __init__(self, context, store="obstore", codecs="zarr", concurrency=None):
        self.context, self.store = context, store
        if codecs == "zarrs":
            import zarrs  # noqa: F401

            zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
        if concurrency:
            zarr.config.set({"async.concurrency": concurrency})

    def root(self):
        """The open group."""
        context = self.context
        if self.store == "obstore":
            store = object_store.opened(context, prefix=context.key)
            return zarr.open_group(zarr.storage.ObjectStore(store, read_only=True), mode="r")
        system = s3fs.S3FileSystem(
            key=context.access_key, secret=context.secret_key, endpoint_url=context.endpoint, asynchronous=True
        )
        path = f"{context.bucket}/{context.key}"
        return zarr.open_group(zarr.storage.FsspecStore(system, path=path, read_only=True), mode="r")

    def tree(self):
        root = self.root()
        return {name: list(group) for name, group in root.groups()}

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
