"""LaminDB as its users call it: `Artifact.get(key=…).open()`, then the accessor.

The instance is made by `lamindb_instance` before the measurement; being connected to it is part of the imports, and
so is what LaminDB imports when it first needs it.
"""

import anndata  # noqa: F401
import h5py  # noqa: F401
import lamindb as ln
import lamindb.core.storage._anndata_accessor
import lamindb.core.storage._backed_access  # noqa: F401
import pyarrow.compute as compute
import s3fs  # noqa: F401

from data import sizes as scales


class Adapter:
    """Opens the artifact for each task."""

    def __init__(self, context):
        self.context = context
        ln.setup.settings.instance._is_on_hub = False  # else it asks its hub, which cannot be reached offline
        ln.Artifact.filter(key="none").count()

    def opened(self, **options):
        """The accessor."""
        return ln.Artifact.get(key=self.context.key).open(is_run_input=False, **options)

    def rows(self, positions):
        """Rows of X in memory."""
        return self.opened()[positions].X

    def filtered_rows(self):
        accessor = self.opened()
        return accessor[self.context.wanted(accessor.obs)].X

    def contiguous_rows(self):
        return self.rows(slice(*self.context.sizes.contiguous))

    def random_rows(self):
        return self.rows(self.context.random_rows)

    def gene(self):
        return self.opened()[:, [self.context.gene_name]].X.toarray()[:, 0]

    def embedding(self):
        return self.opened().obsm["X_pca"][:]

    def hyperslab(self):
        return self.opened().storage["field"][self.context.window]

    def filtered_table(self):
        field = compute.field
        wanted = (field("tissue") == scales.WANTED_TISSUE) & (field("percent_mito") <= scales.MOST_MITO)
        types = field("cell_type").cast("string").isin(list(scales.WANTED_TYPES))
        return self.opened(partitioning="hive").to_table(columns=list(scales.TABLE_COLUMNS), filter=wanted & types)

    def whole_table(self):
        return self.opened(partitioning="hive").to_table(columns=list(scales.TABLE_COLUMNS))
