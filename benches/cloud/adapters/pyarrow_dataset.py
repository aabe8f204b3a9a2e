"""pyarrow's dataset over its own S3 file system."""

import pyarrow.compute as compute
import pyarrow.dataset
import pyarrow.fs

from data import sizes as scales


class Adapter:
    """Opens the dataset for each task."""

    def __init__(self, context):
        self.context = context

    def dataset(self):
        """The dataset with its partition column."""
        context = self.context
        system = pyarrow.fs.S3FileSystem(
            access_key=context.access_key, secret_key=context.secret_key, region="us-east-1", scheme="http",
            endpoint_override=context.endpoint.removeprefix("http://"),
        )  # fmt: skip
        return pyarrow.dataset.dataset(f"{context.bucket}/{context.key}", filesystem=system, partitioning="hive")

    def filtered_table(self):
        field = compute.field
        wanted = (field("tissue") == scales.WANTED_TISSUE) & (field("percent_mito") <= scales.MOST_MITO)
        types = field("cell_type").cast("string").isin(list(scales.WANTED_TYPES))
        return self.dataset().to_table(columns=list(scales.TABLE_COLUMNS), filter=wanted & types)

    def whole_table(self):
        return self.dataset().to_table(columns=list(scales.TABLE_COLUMNS))
