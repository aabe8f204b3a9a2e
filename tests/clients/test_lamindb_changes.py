"""LaminDB instances that change while they are served."""

import os
import sqlite3
import time
from contextlib import closing

import pyarrow
import pytest

import lamin
from expect import read_anndata, same_frame
from lamindb_served import eventually, fresh, fresh_client, keys  # noqa: F401  fixtures


class TestChanges:
    """The database while it is served."""

    def test_new_rows_are_seen_and_nothing_is_locked(self, fresh, fresh_client):
        assert "moved.h5ad" not in keys(fresh_client)
        os.rename(fresh.root / "pbmc68k.h5ad", fresh.root / "moved.h5ad")
        fresh.execute("UPDATE lamindb_artifact SET key = 'moved.h5ad' WHERE key = 'pbmc68k.h5ad'")

        def moved():
            assert "moved.h5ad" in keys(fresh_client)

        eventually(moved)
        same_frame(fresh_client.get(("moved.h5ad", "obs")), read_anndata(fresh.root / "moved.h5ad").obs)

    def test_an_open_transaction_is_neither_seen_nor_disturbed(self, fresh, fresh_client):
        with closing(sqlite3.connect(fresh.database, timeout=0, isolation_level=None)) as writer:
            writer.execute("PRAGMA cache_size = 1")
            writer.execute("BEGIN EXCLUSIVE")
            writer.execute("UPDATE lamindb_artifact SET key = key || '.half'")
            # What does not fit into its cache is in the file already.
            writer.execute("UPDATE lamindb_artifact SET description = hex(zeroblob(20000))")
            for _ in range(10):
                assert "testfile.hdf5" in keys(fresh_client)
                time.sleep(0.1)
            writer.execute("COMMIT")

        def committed():
            assert "testfile.hdf5.half" in keys(fresh_client)

        eventually(committed)

    def test_a_broken_database_leaves_the_old_answers(self, fresh, fresh_client):
        before = keys(fresh_client)
        content = fresh.database.read_bytes()

        def damage(change):
            change()
            for _ in range(6):
                assert keys(fresh_client) == before
                time.sleep(0.1)

        damage(lambda: fresh.database.write_bytes(content[: len(content) // 2]))
        damage(lambda: fresh.database.write_bytes(content[:50]))
        damage(lambda: fresh.database.write_bytes(b"no database" * 1000))
        damage(lambda: fresh.database.write_bytes(b""))
        damage(fresh.database.unlink)
        with closing(sqlite3.connect(fresh.database)) as other, other:
            other.execute("CREATE TABLE lamindb_artifact (id INTEGER)")
        damage(lambda: None)
        lamin.write_database(fresh.database, "v2.12")
        fresh.execute("UPDATE lamindb_artifact SET key = 'again.hdf5' WHERE key = 'testfile.hdf5'")

        def again():
            assert "again.hdf5" in keys(fresh_client)

        eventually(again)

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"no database" * 1000, "not a SQLite database"), (None, "no LaminDB instance in"), (b"", "not a LaminDB instance")],
    )
    def test_a_database_that_never_was_one_ends_the_start(self, site, tmp_path, content, words):
        root = tmp_path / "storage"
        root.mkdir()
        if content is not None:
            (root / ".lamindb").mkdir()
            (root / ".lamindb/lamin.db").write_bytes(content)
        done = site.command("serve", "--listen", "127.0.0.1:0", "--lamindb", root, check=False)
        assert done.returncode == 1
        assert words in done.stderr
