"""DuckDB with its extension httpfs, from the wheel of the same version on PyPI."""

from pathlib import Path

import duckdb
import duckdb_extension_httpfs

from data import sizes as scales


class Adapter:
    """Queries in a database in memory; loading the extension is not timed."""

    def __init__(self, context):
        self.context = context
        self.database = duckdb.connect()
        (extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
        self.database.execute(f"LOAD '{extension}'")

    def query(self, condition):
        """The answer as Arrow."""
        context, columns = self.context, ", ".join(scales.TABLE_COLUMNS)
        endpoint = context.endpoint.removeprefix("http://")
        self.database.execute(
            f"CREATE OR REPLACE SECRET (TYPE s3, KEY_ID '{context.access_key}', SECRET '{context.secret_key}', "
            f"REGION 'us-east-1', ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"
        )
        files = f"read_parquet('{context.url}/*/*.parquet', hive_partitioning = true)"
        return self.database.execute(f"SELECT {columns} FROM {files} {condition}").fetch_arrow_table()

    def filtered_table(self):
        return self.query(f"WHERE tissue = '{scales.WANTED_TISSUE}' AND {self.context.condition}")

    def whole_table(self):
        return self.query("")
