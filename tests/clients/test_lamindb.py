"""LaminDB instances served as they are: every row resolves to its content, hidden and broken ones never do."""

import gzip
import os
import shutil
import sqlite3
import time
from contextlib import closing

import anndata
import numpy
import pandas
import pyarrow
import pyarrow.dataset
import pytest

import decode
import lamin
import stack
from conftest import Site
from expect import read_anndata, same_array, same_frame
from wire import Client

PATIENCE = 20


@pytest.fixture(scope="module", params=lamin.GENERATIONS)
def instance(request, tmp_path_factory):
    return lamin.Instance.lay_out(tmp_path_factory.mktemp("lamin") / "storage", request.param)


@pytest.fixture(scope="class")
def client(site, instance):
    yield from serve(site, instance.settings())


@pytest.fixture
def fresh(tmp_path):
    """An instance of its own for a test that changes it."""
    return lamin.Instance.lay_out(tmp_path / "storage", "v2.12")


@pytest.fixture
def fresh_client(site, fresh):
    yield from serve(site, fresh.settings())


def serve(site, settings, *flags):
    client = Client(site.serve(*flags, settings=settings).uri)
    yield client
    client.close()


def eventually(check):
    """Calls `check` until it raises no AssertionError."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def entries(client, **criteria):
    found = client.action("search", criteria)
    found = found if isinstance(found, list) else [found]
    return [entry for entry in found if entry.get("type") != "page"]


def keys(client, **criteria):
    return [entry["key"] for entry in entries(client, type="artifact", **criteria)]


class TestEveryRow:
    """Each row of both generations, against the path rule read independently."""

    def test_resolves_to_its_content(self, client, instance):
        seen = 0
        for row in instance.rows():
            path = instance.root / lamin.storage_path(row)
            readable = lamin.branch(row) == 1 and (row["is_latest"] or not row["_overwrite_versions"])
            if not readable:
                continue
            artifact = client.action("describe", {"uid": row["uid"]})["artifact"]
            assert path.exists()
            assert artifact["url"] == path.as_uri()
            assert artifact["key"] == (row["key"] or row["uid"])
            files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
            assert artifact["size"] == row["size"] == sum(file.stat().st_size for file in files)
            assert artifact["n_files"] == row["n_files"]
            seen += 1
        assert seen == {"v1.3": 6, "v2.12": 12}[instance.generation]

    def test_slices_are_those_of_the_reference(self, client, instance):
        for row in instance.rows():
            path = instance.root / lamin.storage_path(row)
            if lamin.branch(row) != 1 or not row["is_latest"]:
                continue
            where = {"uid": row["uid"]}
            if row["otype"] == "AnnData":
                whole = read_anndata(path)
                same_frame(client.get({**where, "node": "obs"}), whole.obs)
                found = decode.array(client.get({**where, "node": "X", "obs": {"slice": {"start": 3, "stop": 9}}}))
                same_array(decode.dense(found), decode.dense(whole.X[3:9]))
            elif row["suffix"] in ("", ".parquet"):
                expected = pyarrow.dataset.dataset(str(path), partitioning=None).to_table().slice(1, 2).to_pandas()
                pandas.testing.assert_frame_equal(client.get({**where, "offset": 1, "limit": 2}).to_pandas(), expected)
            else:
                same_array(decode.array(client.get({**where, "node": "mydataset"})), numpy.arange(10))

    def test_listing(self, client, instance):
        rows = [row for row in instance.rows() if lamin.branch(row) == 1]
        latest = sorted(row["key"] or row["uid"] for row in rows if row["is_latest"])
        assert keys(client) == latest
        every = entries(client, type="artifact", all_versions=True)
        assert sorted(entry["uid"] for entry in every) == sorted(row["uid"] for row in rows)
        infos = client.listed(type="artifact")
        assert len(infos) == len(latest)

    def test_collection(self, client):
        described = client.action("describe", {"collection": "sharded_parquet_collection"})
        assert [member["key"] for member in described["members"]] == ["shards/louvain0.parquet", "shards/louvain1.parquet"]
        shards = [pandas.read_parquet(stack.NOTEBOOK / stack.shard_key(louvain), partitioning=None) for louvain in (0, 1)]
        frame = client.get({"collection": "sharded_parquet_collection"}).to_pandas()
        pandas.testing.assert_frame_equal(frame, pandas.concat(shards))

    def test_label(self, client):
        assert keys(client, label="setosa") == ["pbmc68k.h5ad"]
        assert "setosa" in client.action("describe", {"key": "pbmc68k.h5ad"})["artifact"]["labels"]


class TestNames:
    """`get` of LaminDB, without its guesses."""

    @pytest.fixture(scope="class")
    @classmethod
    def instance(cls, tmp_path_factory):
        return lamin.Instance.lay_out(tmp_path_factory.mktemp("names") / "storage", "v2.12")

    @pytest.mark.parametrize(
        ("source", "uid"),
        [
            ({"key": "virt/df.parquet"}, "mONPQbCnv2hKBMEE0001"),
            ({"key": "virt/df.parquet", "version": "0000"}, "mONPQbCnv2hKBMEE0000"),
            ({"key": "virt/df.parquet", "version": "1"}, "mONPQbCnv2hKBMEE0001"),
            ({"uid": "mONPQbCnv2hKBMEE"}, "mONPQbCnv2hKBMEE0001"),
            ({"uid": "mONP"}, "mONPQbCnv2hKBMEE0001"),
            ({"uid": "mONPQbCnv2hKBMEE0000"}, "mONPQbCnv2hKBMEE0000"),
            ({"key": "pretty/name.h5ad"}, "wkWz1cxRmJf4QrjV0000"),
            ({"key": "KcSNAJkHNA8AO0920000"}, "KcSNAJkHNA8AO0920000"),
        ],
    )
    def test_found(self, client, source, uid):
        assert client.action("describe", source)["artifact"]["uid"] == uid

    @pytest.mark.parametrize(
        ("source", "code", "words"),
        [
            ({"key": "virt/df.parquet", "version": "7"}, pyarrow.ArrowKeyError, ["no version", "1, 0"]),
            ({"key": "trash/me.parquet"}, pyarrow.ArrowKeyError, ["no artifact has the key"]),
            ({"uid": "jzimFSwPFyTNgIjw0000"}, pyarrow.ArrowKeyError, ["in the trash"]),
            ({"key": "virt/df.parque"}, pyarrow.ArrowKeyError, ["near matches", "virt/df.parquet"]),
            ({"uid": "h"}, pyarrow.ArrowInvalid, ["ambiguous", "h8WgtdnZXmRheiXt0000", "hVxyuByorMayh3Y90001"]),
            ({"uid": "mONPQbCnv2hKBMEE000"}, pyarrow.ArrowInvalid, ["ambiguous", "mONPQbCnv2hKBMEE0000"]),
            ({"uid": "hVxyuByorMayh3Y90000"}, pyarrow.ArrowException, ["overwritten by a newer version"]),
        ],
    )
    def test_refused(self, client, source, code, words):
        with pytest.raises(code) as failure:
            client.action("describe", source)
        assert all(word in str(failure.value) for word in words), failure.value

    def test_a_key_of_several_artifacts_is_ambiguous(self, fresh, fresh_client):
        fresh.execute("UPDATE lamindb_artifact SET key = 'pbmc68k.h5ad', _key_is_virtual = 1 WHERE uid = 'wkWz1cxRmJf4QrjV0000'")

        def ambiguous():
            try:
                fresh_client.action("describe", {"key": "pbmc68k.h5ad"})
            except pyarrow.ArrowInvalid as failure:
                return str(failure)
            raise AssertionError("not ambiguous yet")

        message = eventually(ambiguous)
        assert "Cm2CcxhVWuXM6Mz10000" in message and "wkWz1cxRmJf4QrjV0000" in message

    def test_collections_of_anndata_are_joined(self, client, instance):
        found = client.get({"collection": "h5ads", "node": "obs"})
        members = [read_anndata(instance.root / path) for path in ("pbmc68k.h5ad", ".lamindb/O63rH8ut65J9p7Y20000.h5ad")]
        expected = anndata.concat(members, join="inner")
        assert found.num_rows == 270
        assert found.column("n_genes").to_pylist() == expected.obs.n_genes.tolist()


class TestCriteria:
    """Questions in the words of the other registry."""

    @pytest.fixture(scope="class")
    @classmethod
    def instance(cls, tmp_path_factory):
        instance = lamin.Instance.lay_out(tmp_path_factory.mktemp("criteria") / "storage", "v2.12")
        instance.execute("UPDATE lamindb_user SET name = 'Ada Lovelace'")
        instance.execute("INSERT INTO lamindb_artifactulabel (artifact_id, ulabel_id, feature_id, created_by_id) VALUES (11, 1, 1, 1)")
        instance.execute("UPDATE lamindb_artifact SET description = 'Blood cells, 50% \"sorted\"' WHERE id = 6")
        return instance

    @pytest.mark.parametrize(
        ("criteria", "expected"),
        [
            ({"key": "virt/*.zarr"}, ["virt/variants_v2.zarr", "virt/variants_v3.zarr"]),
            ({"key": "shards/louvain[01].parquet"}, ["shards/louvain0.parquet", "shards/louvain1.parquet"]),
            ({"key_prefix": "shards/"}, ["shards/louvain0.parquet", "shards/louvain1.parquet"]),
            ({"suffix": ".hdf5"}, ["testfile.hdf5"]),
            ({"kind": "zarr"}, ["virt/variants_v2.zarr", "virt/variants_v3.zarr"]),
            ({"label": "experiment 1"}, ["pbmc68k.h5ad"]),
            ({"labels": ["setosa", "experiment 1"]}, ["pbmc68k.h5ad"]),
            ({"labels": [{"name": "setosa", "feature": "cell_line_note"}]}, ["virt/df.parquet"]),
            ({"label": "setosa"}, ["pbmc68k.h5ad", "virt/df.parquet"]),
            ({"label": "versicolor"}, []),
            ({"collection": "h5ads"}, ["pbmc68k.h5ad", "virt/variants.h5ad"]),
            ({"created_by": "anonymous", "suffix": ".hdf5"}, ["testfile.hdf5"]),
            ({"created_by": "Ada Lovelace", "suffix": ".hdf5"}, ["testfile.hdf5"]),
            ({"created_by": "nobody"}, []),
            ({"size": {"min": 700_000, "max": 800_000}}, ["virt/variants_v2.zarr", "virt/variants_v3.zarr"]),
            ({"n_observations": {"min": 4}}, ["virt/df.parquet"]),
            ({"description": "CELLS, 50%"}, ["virt/variants.h5ad"]),
            ({"search": "blood"}, ["virt/variants.h5ad"]),
            ({"search": "experim"}, ["pbmc68k.h5ad"]),
            ({"trashed": True}, ["trash/me.parquet"]),
            # Both forms of time in one table: .685000 and .546000 by Python, .998 by the database.
            (
                {"created_at": {"from": "2026-11-22T06:11:59.700Z", "to": "2026-11-22T06:12:01.999Z"}},
                ["pretty/name.h5ad", "virt/df.parquet", "virt/variants_v3.zarr"],
            ),
        ],
    )
    def test_artifacts(self, client, criteria, expected):
        assert sorted(keys(client, **criteria)) == expected

    def test_pages(self, client):
        whole = [(entry["key"], entry["uid"]) for entry in entries(client, all_versions=True)]
        paged, token = [], None
        while True:
            page = client.action("search", {"all_versions": True, "limit": 2} | ({"page_token": token} if token else {}))
            page = page if isinstance(page, list) else [page]
            paged += [(entry["key"], entry["uid"]) for entry in page if entry["type"] != "page"]
            token = next((entry["next_page_token"] for entry in page if entry["type"] == "page"), None)
            if token is None:
                break
        assert paged == whole
        assert len(whole) == 13 + 3

    def test_labels_are_looked_up(self, client):
        found = client.action("lookup", {})
        found = found if isinstance(found, list) else [found]
        assert {label["name"]: label["n_artifacts"] for label in found} == {"experiment 1": 1, "setosa": 2}
        assert [feature["name"] for label in found for feature in label["features"]] == ["cell_line_note"]

    def test_makers_and_features_are_shown(self, client):
        (entry,) = entries(client, labels=[{"name": "setosa", "feature": "cell_line_note"}])
        assert entry["created_by"] == "anonymous"
        assert entry["features"] == {"cell_line_note": ["setosa"]}
        assert entry["created_at"] == "2026-11-22T06:11:59.733000Z"


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


class TestPlaces:
    """Databases in other forms and places."""

    def test_a_packed_file_of_its_own(self, site, fresh):
        packed = fresh.database.with_name("lamin.db.gz")
        packed.write_bytes(gzip.compress(fresh.database.read_bytes()))
        fresh.database.unlink()
        for url in (fresh.root, packed):
            for client in serve(site, fresh.settings(url=url)):
                assert "testfile.hdf5" in keys(client)

    def test_the_limit_holds_for_what_is_unpacked(self, site, fresh):
        fresh.database.with_name("lamin.db.gz").write_bytes(gzip.compress(b"\0" * (64 << 20)))
        fresh.database.unlink()
        path = fresh.root.parent / "settings.toml"
        path.write_text(fresh.settings(database_bytes="1 MiB"))
        done = site.command("serve", "--listen", "127.0.0.1:0", "--config", path, check=False)
        assert done.returncode == 1
        assert "limit of 1048576 bytes" in done.stderr

    def test_side_by_side_with_names(self, notebook, tmp_path):
        instances = {name: lamin.Instance.lay_out(tmp_path / name, name) for name in lamin.GENERATIONS}
        settings = "".join(instance.settings(name=name) for name, instance in instances.items())
        for client in serve(notebook, settings):
            found = keys(client)
            assert {"v1.3/pbmc68k.h5ad", "v2.12/pbmc68k.h5ad", "lndb-storage/pbmc68k.h5ad", "sharded_parquet"} <= set(found)
            same_frame(client.get(("v1.3/pbmc68k.h5ad", "obs")), client.get(("lndb-storage/pbmc68k.h5ad", "obs")).to_pandas())
            assert client.get({"collection": "v1.3/sharded_parquet_collection"}).num_rows == 20
            assert client.action("describe", {"uid": "Cm2C"})["artifact"]["key"] == "v2.12/pbmc68k.h5ad"
            assert keys(client, key="v*/pbmc68k.h5ad") == ["v1.3/pbmc68k.h5ad", "v2.12/pbmc68k.h5ad"]
            with pytest.raises(pyarrow.ArrowKeyError, match=r"near matches: v1.3/testfile.hdf5"):
                client.action("describe", {"key": "v1.3/testfile.hdf"})

    def test_two_without_names_are_refused(self, site, fresh):
        done = site.command("serve", "--listen", "127.0.0.1:0", "--lamindb", fresh.root, "--lamindb", fresh.root, check=False)
        assert done.returncode == 1
        assert "needs a name of its own" in done.stderr

    def test_flag(self, site, fresh):
        fresh.execute("UPDATE lamindb_storage SET root = ?", str(fresh.root))
        for client in serve(site, None, "--lamindb", f"lab={fresh.root}"):
            same_array(decode.array(client.get(("lab/testfile.hdf5", "mydataset"))), numpy.arange(10))

    def test_nothing_of_an_instance_is_changed(self, site, fresh):
        fresh.execute("UPDATE lamindb_storage SET root = ?", str(fresh.root))
        before = fresh.database.read_bytes()
        for client in serve(site, None, "--allow-register", "--lamindb", str(fresh.root)):
            for action, body in [
                ("remove", {"key": "testfile.hdf5"}),
                ("label", {"key": "testfile.hdf5", "labels": ["mine"]}),
                ("update", {"key": "testfile.hdf5", "description": "mine"}),
                ("trash", {"key": "testfile.hdf5"}),
            ]:
                with pytest.raises(pyarrow.ArrowException):
                    client.action(action, body)
        assert fresh.database.read_bytes() == before
        assert sorted(path.name for path in fresh.database.parent.glob("lamin.db*")) == ["lamin.db"]


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
