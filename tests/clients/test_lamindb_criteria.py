"""Searching LaminDB instances: criteria, pages, labels, makers and features."""

import pytest

import lamin
from lamindb_served import client, entries, instance, keys  # noqa: F401  fixtures


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
