"""Names that stand twice on an axis: what anndata does with them, and what is answered here."""

import anndata
import numpy
import pandas
import pyarrow
import pytest
import scipy.sparse

import decode
from expect import same_array
from wire import Client

KEY = "names/twice.h5ad"
GENES = ["CD3D", "MALAT1", "CD3D", "LYZ"]
CELLS = ["a", "b", "b", "c", "d"]


@pytest.fixture(scope="module")
def whole(site):
    values = numpy.arange(20, dtype="f4").reshape(5, 4)
    data = anndata.AnnData(scipy.sparse.csr_matrix(values), pandas.DataFrame(index=CELLS), pandas.DataFrame(index=GENES))
    data.layers["dense"] = values
    data.write_h5ad(site.folder / "twice.h5ad")
    site.register(KEY, source=site.folder / "twice.h5ad")
    return data


@pytest.fixture(scope="module")
def client(site, whole):
    return Client(site.serve().uri)


def test_anndata_refuses_lists_of_names(whole):
    """It refuses a list on such an axis even when its own names are unique, and gives all that one name has."""
    for names in (["CD3D"], ["LYZ"]):
        with pytest.raises(pandas.errors.InvalidIndexError, match="uniquely valued"):
            whole[:, names]
    assert whole[:, "CD3D"].shape == (5, 2) and whole[:, "LYZ"].shape == (5, 1)


@pytest.mark.parametrize("node", ["X", "layers/dense"])
class TestNames:
    @pytest.mark.parametrize(("axis", "name"), [("var", "CD3D"), ("obs", "b")])
    def test_a_name_that_stands_twice_is_refused_by_name(self, client, node, axis, name):
        for names in ([name], ["LYZ" if axis == "var" else "a", name]):
            with pytest.raises(pyarrow.ArrowInvalid, match=f'name "{name}" is not unique on the axis'):
                client.get({"key": KEY, "node": node, axis: {"names": names}})

    def test_others_on_the_axis_are_found(self, client, whole, node):
        values = whole.layers["dense"]
        found = client.get({"key": KEY, "node": node, "var": {"names": ["LYZ", "MALAT1"]}, "obs": {"names": ["d", "a"]}})
        found = decode.array(found)
        same_array(decode.dense(found), values[[4, 0]][:, [3, 1]])

    def test_positions_find_each(self, client, whole, node):
        """A where and an index do; a name is unique again where a selector before it left one of the two."""
        values = whole.layers["dense"]
        found = client.get({"key": KEY, "node": node, "obs": {"where": "\"_index\" = 'b'"}, "var": {"index": [2, 0]}})
        same_array(decode.dense(decode.array(found)), values[[1, 2]][:, [2, 0]])
        found = client.get({"key": KEY, "node": node, "var": [{"slice": {"start": 1}}, {"names": ["CD3D"]}]})
        same_array(decode.dense(decode.array(found)), values[:, [2]])

    def test_wide_names_the_column(self, client, whole, node):
        with pytest.raises(pyarrow.ArrowInvalid, match="layout 'wide' would have the column 'CD3D' twice"):
            client.get({"key": KEY, "node": node, "layout": "wide"})
        table = client.get({"key": KEY, "node": node, "layout": "wide", "var": {"index": [3, 2]}})
        assert table.column_names == ["LYZ", "CD3D"]
        assert table.column("CD3D").to_pylist() == whole.layers["dense"][:, 2].tolist()
