"""LaminDB instances as lamindb wrote them, laid out in a folder, and what they say by an independent reading.

The records are `tests/fixtures/lamindb/*.sql`; their contents are the notebook's and a few files of their own
(`tests/fixtures/generate_lamindb.py`).
"""

import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import stack

LAMINDB = stack.FIXTURES / "lamindb"
GENERATIONS = ("v1.3", "v2.12")
DATABASE = {"v1.3": "84249a149c4558ce8f6b8fd714015897.lndb", "v2.12": ".lamindb/lamin.db"}
#: What lies under the names that LaminDB made up.
AUTOMATIC = {
    "v1.3": {"g2ta2UmORzX8509C0000.h5ad": "csc.h5ad"},
    "v2.12": {
        "KcSNAJkHNA8AO0920000.h5ad": "csc.h5ad",
        "O63rH8ut65J9p7Y20000.h5ad": "variants.h5ad",
        "h8WgtdnZXmRheiXt.zarr": "variants_v2.zarr",
        "hVxyuByorMayh3Y9.zarr": "variants_v2.zarr",
    },
}


class Instance:
    """One instance: its storage root with contents and database, and the root that its records name."""

    def __init__(self, root, generation):
        self.root, self.generation = Path(root), generation
        self.recorded_root = f"/data/lamindb/{generation}"
        self.database = self.root / DATABASE[generation]

    @classmethod
    def lay_out(cls, root, generation):
        """Writes all of an instance into the folder `root`."""
        instance = cls(root, generation)
        (instance.root / ".lamindb").mkdir(parents=True)
        for name in ("pbmc68k.h5ad", "testfile.hdf5"):
            shutil.copy(stack.NOTEBOOK / name, instance.root / name)
        shutil.copytree(stack.NOTEBOOK / "sharded_parquet", instance.root / "sharded_parquet")
        (instance.root / "shards").mkdir()
        for louvain in (0, 1):
            shutil.copy(stack.NOTEBOOK / stack.shard_key(louvain), instance.root / "shards" / f"louvain{louvain}.parquet")
        for name, source in AUTOMATIC[generation].items():
            copy = shutil.copytree if (stack.NOTEBOOK / source).is_dir() else shutil.copy
            copy(stack.NOTEBOOK / source, instance.root / ".lamindb" / name)
        if generation == "v2.12":
            with tarfile.open(LAMINDB / "v2.12_files.tar.xz") as files:
                files.extractall(instance.root, filter="data")
        write_database(instance.database, generation)
        return instance

    def execute(self, sql, *values):
        """Changes the database as LaminDB would: in a transaction of SQLite."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def rows(self):
        """Every artifact row, as dicts."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM lamindb_artifact ORDER BY id")]

    def settings(self, url=None, name=None, root=None, **keys):
        """The text of a configuration that serves the instance where it is."""
        target = str(root or self.root)
        lines = ["[[lamindb]]", f'url = "{url or self.root}"', f'remap = {{ "{self.recorded_root}" = "{target}" }}']
        lines += [f'name = "{name}"'] if name else []
        keys = {"refresh": "200ms"} | keys
        lines += [f"{key} = {value if value in ('true', 'false') else chr(34) + value + chr(34)}" for key, value in keys.items()]
        return "\n".join(lines) + "\n"


def write_database(path, generation):
    """Makes the database file anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript((LAMINDB / f"{generation}.sql").read_text())


def storage_path(row):
    """Where LaminDB puts the content of a row, below its storage root (lamindb/core/storage/paths.py)."""
    if row.get("_real_key") is not None:
        return row["_real_key"]
    if row["key"] is None or row["_key_is_virtual"]:
        uid = row["uid"][:16] if row["_overwrite_versions"] else row["uid"]
        return f".lamindb/{uid}{row['suffix']}"
    return row["key"]


def branch(row):
    """1 for what everybody sees, 0 for the archive, -1 for the trash."""
    return row["branch_id"] if "branch_id" in row else row["_branch_code"]
