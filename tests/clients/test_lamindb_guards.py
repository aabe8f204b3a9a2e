"""Rows of LaminDB instances that are hidden or broken never resolve."""

import shutil
import time

import numpy
import pyarrow
import pytest

import decode
from expect import same_array
from lamindb_served import eventually, fresh, fresh_client, keys  # noqa: F401  fixtures


class TestGuards:
    """What is not what the instance recorded is never read."""

    def refused(self, client, source, *words):
        def check():
            try:
                client.action("describe", source)
            except pyarrow.ArrowException as failure:
                assert all(word in str(failure) for word in words), failure
                return
            raise AssertionError("not refused")

        eventually(check)

    def test_unfinished_uploads(self, fresh, fresh_client):
        assert fresh_client.action("describe", {"key": "testfile.hdf5"})
        fresh.execute("""UPDATE lamindb_artifact SET _aux = '{"so": 1}' WHERE key = 'testfile.hdf5'""")
        self.refused(fresh_client, {"key": "testfile.hdf5"}, "upload is not finished")
        fresh.execute("""UPDATE lamindb_artifact SET _aux = 'null' WHERE key = 'testfile.hdf5'""")
        eventually(lambda: readable(fresh_client, {"key": "testfile.hdf5"}))

    @pytest.mark.parametrize("branch", [-1, 0, 7])
    def test_other_branches(self, fresh, fresh_client, branch):
        fresh.execute("UPDATE lamindb_artifact SET branch_id = ? WHERE key = 'testfile.hdf5'", branch)
        where = {-1: "trash", 0: "archive", 7: "branch"}[branch]
        self.refused(fresh_client, {"uid": "GBhLlXr0AaRdbXlw0000"}, "is", where)
        assert "testfile.hdf5" not in keys(fresh_client)

    def test_other_sizes(self, fresh, fresh_client):
        with open(fresh.root / "shards/louvain0.parquet", "ab") as file:
            file.write(b"more")
        self.refused(fresh_client, {"key": "shards/louvain0.parquet"}, "4170 bytes", "recorded 4166")

    def test_a_folder_that_lost_a_file(self, fresh, fresh_client):
        next((fresh.root / "sharded_parquet/louvain=3").glob("*.parquet")).unlink()
        self.refused(fresh_client, {"key": "sharded_parquet"}, "recorded 43658")

    def test_a_member_in_the_trash_makes_no_smaller_collection(self, fresh, fresh_client):
        fresh.execute("UPDATE lamindb_artifact SET branch_id = -1 WHERE key = 'shards/louvain1.parquet'")
        self.refused(fresh_client, {"collection": "sharded_parquet_collection"}, "has 2 artifacts, of which 1")

    def test_content_that_is_not_there(self, fresh, fresh_client):
        (fresh.root / "testfile.hdf5").unlink()
        self.refused(fresh_client, {"key": "testfile.hdf5"}, "content is not there")

    def test_only_storages_of_the_instance_are_open(self, fresh, fresh_client, tmp_path):
        outside = tmp_path / "secret.hdf5"
        shutil.copy(fresh.root / "testfile.hdf5", outside)
        self.refused(fresh_client, {"url": outside.as_uri()}, "outside all storage roots")
        key = f"../{outside.name}"
        fresh.execute("UPDATE lamindb_artifact SET key = ? WHERE key = 'testfile.hdf5'", key)
        self.refused(fresh_client, {"key": key}, "relative part")

    def test_an_object_that_changes_is_noticed_and_then_read_anew(self, fresh, fresh_client):
        request = {"key": "testfile.hdf5", "node": "mydataset"}
        same_array(decode.array(fresh_client.get(request)), numpy.arange(10))
        ticket = fresh_client.info(request).endpoints[0].ticket
        content = (fresh.root / "testfile.hdf5").read_bytes()
        time.sleep(0.05)
        (fresh.root / "testfile.hdf5").write_bytes(content)
        with pytest.raises(pyarrow.ArrowException, match="changed"):
            fresh_client.reader(ticket).read_all()
        eventually(lambda: readable(fresh_client, {"key": "testfile.hdf5"}))
        same_array(decode.array(fresh_client.get(request)), numpy.arange(10))


def readable(client, source):
    try:
        client.action("describe", source)
    except pyarrow.ArrowException as failure:
        raise AssertionError(failure) from None
