"""LaminDB instances in a bucket."""

import sqlite3
import time
from contextlib import closing

import numpy
import pyarrow
import pytest

import decode
import lamin
import stack
from conftest import Site
from expect import same_array
from lamindb_served import eventually, keys, serve


class TestCloud:
    """The storage root in a bucket: database and contents."""

    @pytest.fixture
    def bucket(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("cloud")
        lamin.Instance.lay_out(folder / "buckets/lamin/instance", "v2.12")
        with stack.Cloud.start(folder / "buckets", folder / "simcloud.log") as cloud:
            site = Site(folder, cloud)
            yield site
            site.stop()

    @pytest.fixture
    def stored(self, bucket):
        return lamin.Instance(bucket.cloud.root / "lamin/instance", "v2.12")

    @pytest.fixture
    def cloud_client(self, bucket, stored):
        yield from serve(bucket, stored.settings(url="s3://lamin/instance", root="s3://lamin/instance"))

    def test_every_row(self, cloud_client, stored):
        for row in stored.rows():
            if lamin.branch(row) == 1 and row["is_latest"]:
                artifact = cloud_client.action("describe", {"uid": row["uid"]})["artifact"]
                assert artifact["url"] == f"s3://lamin/instance/{lamin.storage_path(row)}"
                assert artifact["size"] == row["size"]

    def test_what_was_inspected_costs_nothing_again(self, bucket, cloud_client):
        request = {"key": "pbmc68k.h5ad", "node": "X", "obs": {"slice": {"stop": 5}}}
        expected = cloud_client.get(request)
        bucket.cloud.reset()
        assert cloud_client.get(request).equals(expected)
        asked = [entry for entry in bucket.cloud.log_entries() if "lamin.db" not in str(entry)]
        assert not [entry for entry in asked if entry.get("method") == "HEAD"], asked

    def test_changes_are_seen_by_the_etag(self, bucket, stored, cloud_client):
        with closing(sqlite3.connect(stored.database)) as connection, connection:
            connection.execute("UPDATE lamindb_artifact SET key = 'renamed', _real_key = 'testfile.hdf5' WHERE id = 2")

        def renamed():
            assert "renamed" in keys(cloud_client)

        eventually(renamed)
        same_array(decode.array(cloud_client.get(("renamed", "mydataset"))), numpy.arange(10))

    def test_an_unreachable_database_leaves_the_old_answers(self, bucket, stored, cloud_client):
        before = keys(cloud_client)
        bucket.cloud.fault("status", status=503, every=1)
        time.sleep(1)
        assert keys(cloud_client) == before
        bucket.cloud.clear_faults()

    def test_hashes_are_held_against_etags(self, bucket, stored):
        """One byte differs: the size is the recorded one, the digest is not."""
        content = bytearray((stored.root / "testfile.hdf5").read_bytes())
        content[-1] ^= 1
        (stored.root / "testfile.hdf5").write_bytes(bytes(content))
        settings = {"url": "s3://lamin/instance", "root": "s3://lamin/instance"}
        for client in serve(bucket, stored.settings(**settings)):
            with pytest.raises(pyarrow.ArrowException, match="W9TveiMeS9f8tXEenzcMFw") as failure:
                client.action("describe", {"key": "testfile.hdf5"})
            assert "has the hash" in str(failure.value)
        for client in serve(bucket, stored.settings(**settings, check_hashes="false")):
            assert client.action("describe", {"key": "testfile.hdf5"})

    def test_tickets_are_served_by_replicas(self, bucket, stored, cloud_client):
        request = {"key": "pbmc68k.h5ad", "node": "obs"}
        ticket = cloud_client.info(request).endpoints[0].ticket
        settings = stored.settings(url="s3://lamin/instance", root="s3://lamin/instance")
        for other in serve(bucket, settings):
            assert other.reader(ticket).read_all().equals(cloud_client.get(request))
        content = (stored.root / "pbmc68k.h5ad").read_bytes()
        (stored.root / "pbmc68k.h5ad").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        for check_hashes, words in (("true", "has the hash"), ("false", "changed since the ticket")):
            for late in serve(bucket, settings.replace("[[lamindb]]", f"[[lamindb]]\ncheck_hashes = {check_hashes}")):
                with pytest.raises(pyarrow.ArrowException, match=words):
                    late.reader(ticket).read_all()

    def test_the_endpoint_may_be_in_the_root(self, bucket, stored):
        stored.execute("UPDATE lamindb_storage SET root = ?", f"s3://lamin/instance?endpoint_url={bucket.cloud.address}")
        bucket.environment = {name: value for name, value in bucket.environment.items() if name != "AWS_ENDPOINT_URL"}
        for client in serve(bucket, None, "--lamindb", str(stored.root)):
            same_array(decode.array(client.get(("testfile.hdf5", "mydataset"))), numpy.arange(10))
