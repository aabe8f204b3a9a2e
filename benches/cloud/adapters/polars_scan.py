"""polars: a lazy scan of the partitioned parquet files."""

import polars

from data import sizes as scales


class Adapter:
    """Scans for each task."""

    def __init__(self, context):
        self.context = context

    def scan(self):
        """The lazy table."""
        context = self.context
        options = {
            "aws_access_key_id": context.access_key,
            "aws_secret_access_key": context.secret_key,
            "aws_endpoint_url": context.endpoint,
            "aws_region": "us-east-1",
            "aws_allow_http": "true",
        }
        return polars.scan_parquet(f"{context.url}/**/*.parquet", hive_partitioning=True, storage_options=options)

    def filtered_table(self):
        column = polars.col
        wanted = column("tissue") == scales.WANTED_TISSUE, column("percent_mito") <= scales.MOST_MITO
        types = column("cell_type").cast(polars.String).is_in(list(scales.WANTED_TYPES))
        return self.scan().filter(*wanted, types).select(scales.TABLE_COLUMNS).collect().to_arrow()

    def whole_table(self):
        return self.scan().select(scales.TABLE_COLUMNS).collect().to_arrow()
