"""LaminDB instances served as they are: every row resolves to its content, also by its other names."""

import anndata
import numpy
import pandas
import pyarrow
import pyarrow.dataset
import pytest

import decode
import lamin
import stack
from expect import read_anndata, same_array, same_frame
from lamindb_served import client, entries, eventually, fresh, fresh_client, instance, keys  # noqa: F401  fixtures


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
