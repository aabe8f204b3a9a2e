"""The notebook, cell by cell: what a user of pyarrow gets for the files that it slices (items 1–4)."""

import numpy
import pandas
import pyarrow.dataset
import pytest

import decode
import stack
from conftest import PBMC
from expect import read_anndata, same_array, same_frame

CHOSEN = "cell_type IN ('Dendritic cells','CD14+ Monocytes') AND percent_mito <= 0.05"
OBSERVATIONS = {"obs": {"where": CHOSEN}}


@pytest.fixture(scope="module")
def whole():
    return read_anndata(stack.NOTEBOOK / "pbmc68k.h5ad")


@pytest.fixture(scope="module")
def chosen(whole):
    obs = whole.obs
    mask = obs.cell_type.isin(["Dendritic cells", "CD14+ Monocytes"]) & (obs.percent_mito <= 0.05)
    assert mask.sum() == 35
    return whole[mask]


class TestAnnData:
    """`lndb-storage/pbmc68k.h5ad`."""

    members = {
        "obs": ["cell_type", "index", "louvain", "n_genes", "percent_mito"],
        "obsm": ["X_pca", "X_umap"],
        "obsp": ["connectivities", "distances"],
        "uns": ["louvain", "louvain_colors", "neighbors", "pca"],
        "var": ["highly_variable", "index", "n_counts"],
        "varm": ["PCs"],
    }

    def test_describe(self, client):
        summary = client.action("describe", {"key": PBMC})
        assert summary["shape"] == [70, 765]
        assert {name: sorted(members) for name, members in summary["attributes"].items()} == self.members

    def test_inspect(self, notebook):
        shown = notebook.command("inspect", PBMC).stdout
        assert "70 × 765" in shown
        for name, members in self.members.items():
            (line,) = [line for line in shown.splitlines() if line.strip().startswith(f"{name}:")]
            assert all(member in line for member in members), line

    def test_x_is_known_before_it_is_read(self, client):
        info = client.info((PBMC, "X"))
        assert info.total_records == 70
        (field,) = info.schema
        assert field.name == "X"
        assert field.type == pyarrow.fixed_shape_tensor(pyarrow.float32(), [765])

    def test_x_of_the_selection(self, client, chosen):
        found = decode.array(client.get({"key": PBMC, "node": "X", **OBSERVATIONS}))
        assert found.shape == (35, 765)
        assert found.dtype == numpy.float32
        ends = numpy.float32([-0.326, -0.191, 0.499, -0.21, -0.636, -0.49])
        numpy.testing.assert_array_equal(found[0, [0, 1, 2, -3, -2, -1]], ends)
        same_array(found, chosen.X)

    def test_x_by_a_ticket_of_ones_own(self, client, chosen):
        same_array(decode.array(client.direct({"key": PBMC, "node": "X", **OBSERVATIONS})), chosen.X)

    @pytest.mark.parametrize("name", ["X_pca", "X_umap"])
    def test_obsm_of_the_selection(self, client, chosen, name):
        same_array(decode.array(client.get({"key": PBMC, "node": f"obsm/{name}", **OBSERVATIONS})), chosen.obsm[name])

    @pytest.mark.parametrize("name", ["connectivities", "distances"])
    def test_obsp_of_the_selection(self, client, chosen, name):
        request = {"key": PBMC, "node": f"obsp/{name}", "axes": [OBSERVATIONS["obs"]] * 2}
        same_array(decode.array(client.get(request)), chosen.obsp[name])

    @pytest.mark.parametrize("name", ["connectivities", "distances"])
    def test_obsp_follows_obs_on_both_axes(self, client, chosen, name):
        found = decode.array(client.get({"key": PBMC, "node": f"obsp/{name}", **OBSERVATIONS}))
        same_array(found, chosen.obsp[name])

    def test_obs_of_the_selection(self, client, chosen):
        same_frame(client.get({"key": PBMC, "node": "obs", **OBSERVATIONS}), chosen.obs)

    def test_obs_and_var(self, client, whole):
        same_frame(client.get((PBMC, "obs")), whole.obs)
        same_frame(client.get((PBMC, "var")), whole.var)

    def test_obs_is_the_default_node(self, client, whole):
        same_frame(client.get((PBMC,)), whole.obs)

    def test_columns_of_obs(self, client, whole):
        table = client.get({"key": PBMC, "node": "obs", "columns": ["n_genes", "cell_type"]})
        assert table.column_names[:2] == ["n_genes", "cell_type"]
        assert table.column("n_genes").to_pylist() == whole.obs.n_genes.tolist()

    def test_index_and_obs_joined_to_x(self, client, chosen):
        request = {"key": PBMC, "node": "X", **OBSERVATIONS, "with_index": True, "with_obs": ["cell_type"]}
        table = client.get(request)
        assert table.column_names[-1] == "X"
        assert set(table.column_names) == {"index", "cell_type", "X"}
        assert table.column("index").to_pylist() == list(chosen.obs_names)
        assert table.column("cell_type").to_pylist() == chosen.obs.cell_type.tolist()
        same_array(decode.array(table), chosen.X)


class TestHdf5:
    """`lndb-storage/testfile.hdf5`."""

    key = "lndb-storage/testfile.hdf5"

    def test_tree(self, client):
        assert "mydataset" in str(client.action("tree", {"key": self.key}))

    def test_tree_of_the_command(self, notebook):
        shown = notebook.command("tree", self.key).stdout
        (line,) = [line for line in shown.splitlines() if "mydataset" in line]
        assert "10" in line and "int64" in line

    def test_whole(self, client):
        table = client.get((self.key, "mydataset"))
        assert table.column_names == ["mydataset"]
        same_array(decode.array(table), numpy.arange(10))

    @pytest.mark.parametrize("spelling", [{"slice": "1:9:3"}, {"axes": [{"slice": {"start": 1, "stop": 9, "step": 3}}]}])
    def test_strided(self, client, spelling):
        found = decode.array(client.get({"key": self.key, "node": "mydataset", **spelling}))
        same_array(found, numpy.arange(10)[1:9:3])


class TestParquet:
    """`sharded_parquet` as one artifact, and the collection of two of its shards."""

    @pytest.fixture(scope="class")
    def dataset(self):
        return pyarrow.dataset.dataset(str(stack.NOTEBOOK / "sharded_parquet"), partitioning=None)

    def test_artifact_of_eleven_files(self, client):
        assert client.action("describe", {"key": "sharded_parquet"})["n_files"] == 11

    def test_tree(self, client):
        tree = str(client.action("tree", {"key": "sharded_parquet"}))
        for louvain in range(11):
            assert stack.shard_key(louvain).removeprefix("sharded_parquet/") in tree

    def test_schema(self, client, dataset):
        found = client.info(("sharded_parquet",)).schema
        assert found.names == dataset.schema.names
        assert found.types == dataset.schema.types
        assert found.metadata[b"pandas"] == dataset.schema.metadata[b"pandas"]

    def test_head(self, client, dataset):
        table = client.get({"key": "sharded_parquet", "limit": 5})
        pandas.testing.assert_frame_equal(table.to_pandas(), dataset.head(5).to_pandas())

    def test_all_rows_in_the_order_of_files(self, client, dataset):
        table = client.get(("sharded_parquet",))
        assert table.num_rows == 70
        pandas.testing.assert_frame_equal(table.to_pandas(), dataset.to_table().to_pandas())

    def test_projection_and_where(self, client, dataset):
        request = {"key": "sharded_parquet", "columns": ["percent_mito", "cell_type"], "where": "n_genes > 1100"}
        expected = dataset.to_table(columns=["percent_mito", "cell_type"], filter=pyarrow.dataset.field("n_genes") > 1100)
        found = client.get(request)
        assert found.column_names[:2] == expected.column_names
        assert found.column("percent_mito").to_pylist() == expected.column("percent_mito").to_pylist()
        assert found.column("cell_type").to_pylist() == expected.column("cell_type").to_pylist()

    def test_limit_and_offset(self, client, dataset):
        found = client.get({"key": "sharded_parquet", "offset": 11, "limit": 9})
        assert found.column("index").to_pylist() == dataset.to_table().column("index").to_pylist()[11:20]

    def test_partition_columns_only_when_asked_for(self, client):
        assert "louvain" not in client.get(("sharded_parquet",)).column_names
        table = client.get({"key": "sharded_parquet", "partitioning": "hive"})
        assert table.column_names[-1] == "louvain"
        per_file = [13, 7, 2, 10, 7, 5, 7, 8, 3, 5, 3]
        order = [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]
        expected = [louvain for louvain, rows in zip(order, per_file, strict=True) for _ in range(rows)]
        assert [int(value) for value in table.column("louvain").to_pylist()] == expected

    def test_where_on_a_partition_column(self, client, dataset):
        table = client.get({"key": "sharded_parquet", "partitioning": "hive", "where": "louvain = 3"})
        assert table.num_rows == 7
        assert {int(value) for value in table.column("louvain").to_pylist()} == {3}

    @pytest.mark.parametrize("field", ["collection", "key"])
    def test_collection(self, client, field):
        frame = client.get({field: "sharded_parquet_collection"}).to_pandas()
        shards = [pandas.read_parquet(stack.NOTEBOOK / stack.shard_key(louvain), partitioning=None) for louvain in (0, 1)]
        assert frame.shape == (20, 3)
        assert list(frame.columns) == ["cell_type", "n_genes", "percent_mito"]
        assert frame.index[0] == "CGTTATACAGTACC-8"
        pandas.testing.assert_frame_equal(frame, pandas.concat(shards))
