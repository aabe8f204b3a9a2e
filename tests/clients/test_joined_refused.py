"""What of a collection of AnnData is not joined says so by name."""

import pandas
import pyarrow
import pytest

from members import ALL, Joined, member


@pytest.fixture(scope="module")
def joined(site):
    return Joined(site)


class TestRefused:
    """What is not joined says so by name."""

    @pytest.mark.parametrize("node", ["obsp/graph", "varm/PCs", "uns/title", "uns", "varp/x", "somewhere/else"])
    def test_nodes_that_concat_leaves_out(self, joined, node):
        with pytest.raises(pyarrow.ArrowNotImplementedError, match=node):
            joined.get(ALL, node)

    def test_tables_in_obsm(self, joined):
        with pytest.raises(pyarrow.ArrowNotImplementedError, match="data frame in artifact 'joined/rows.h5ad'"):
            joined.get(("rows",), "obsm/table")

    @pytest.mark.parametrize(
        ("fields", "error", "words"),
        [
            ({"layout": "coo"}, pyarrow.ArrowNotImplementedError, "Coo"),
            ({"squeeze": True, "obs": {"integer": 0}}, pyarrow.ArrowNotImplementedError, "squeeze"),
            ({"columns": ["a"]}, pyarrow.ArrowInvalid, "columns"),
            ({"var": {"names": ["XIST"]}}, KeyError, "XIST"),
            ({"withObs": ["batch"]}, KeyError, "batch"),
            ({"var": {"where": "length > 1"}}, KeyError, "length"),
            ({"obs": {"index": [500]}}, IndexError, "500"),
            ({"join": "left"}, pyarrow.ArrowInvalid, "inner"),
        ],
    )
    def test_fields(self, joined, fields, error, words):
        kinds = (error, pyarrow.ArrowInvalid) if error is IndexError else error
        with pytest.raises(kinds, match=words):
            joined.get(ALL, "X", **fields)

    def test_join_of_one_artifact(self, joined):
        with pytest.raises(pyarrow.ArrowInvalid, match="join applies to collections"):
            joined.client.get({"key": joined.keys["rows"], "node": "X", "join": "inner"})

    def test_types_that_cannot_be_united(self, site, joined):
        data = member("rows")
        data.obs["n_genes"] = data.obs["n_genes"].astype(str)
        path = site.folder / "texts.h5ad"
        data.write_h5ad(path)
        site.register("joined/texts.h5ad", source=path)
        site.command("collection", "create", "texts", joined.keys["rows"], "joined/texts.h5ad")
        with pytest.raises(pyarrow.ArrowNotImplementedError, match="'n_genes' is Int32 in 'joined/rows.h5ad' and .* in 'joined/texts.h5ad'"):
            joined.client.get(("texts", "obs"))
        assert joined.client.get({"collection": "texts", "node": "obs", "columns": ["score"]}).num_rows == 80

    def test_a_variable_that_stands_twice(self, site, joined):
        data = member("rows")
        data.raw = None
        data.var.index = ["MS4A1", "CD3D", "MS4A1", "LYZ", "GNLY", "PPBP"]
        path = site.folder / "twice.h5ad"
        data.write_h5ad(path)
        site.register("joined/twice.h5ad", source=path)
        site.command("collection", "create", "twice", joined.keys["rows"], "joined/twice.h5ad")
        with pytest.raises(pyarrow.ArrowInvalid, match="twice.h5ad.*'MS4A1' stands twice"):
            joined.client.get(("twice", "X"))
        assert joined.client.get(("twice", "obs")).num_rows == 80

    def test_mixed_collections(self, notebook, joined):
        key = "sharded/one.parquet"
        table = notebook.folder / "one.parquet"
        pandas.DataFrame({"a": [1]}).to_parquet(table)
        notebook.register(key, source=table)
        notebook.command("collection", "create", "mixed", joined.keys["rows"], key)
        with pytest.raises(pyarrow.ArrowNotImplementedError, match="'joined/rows.h5ad'.*'sharded/one.parquet' is not"):
            joined.client.get(("mixed", "obs"))
        notebook.command("collection", "create", "tables", key)
        with pytest.raises(pyarrow.ArrowInvalid, match="join applies"):
            joined.client.get({"collection": "tables", "join": "outer"})
