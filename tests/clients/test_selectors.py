"""Selectors mean what numpy and anndata mean: each kind, their composition, both axes, any spelling."""

import base64
import json
import random

import numpy
import pytest
import scipy.sparse

import decode
import stack
from conformance import selections
from conftest import PBMC, VARIANTS
from expect import read_anndata, same_array, same_frame
from wire import Client

DENSE = PBMC
SPARSE = [f"variants/{name}" for name in VARIANTS]
FILES = {DENSE: stack.NOTEBOOK / "pbmc68k.h5ad"} | {f"variants/{name}": stack.NOTEBOOK / name for name in VARIANTS}
LOADED = {key: read_anndata(path) for key, path in FILES.items()}


@pytest.fixture(scope="module")
def client(every_file):
    client = Client(every_file.serve().uri)
    yield client
    client.close()


def part(data, rows=None, columns=None):
    """The reference: rows, then columns, of X."""
    everything = slice(None)
    taken = data.X[everything if rows is None else rows]
    return taken[:, everything if columns is None else columns]


def span(start=None, stop=None, step=None):
    """A slice selector with only the bounds that are given."""
    bounds = {"start": start, "stop": stop, "step": step}
    return {"slice": {name: value for name, value in bounds.items() if value is not None}}


SLICES = [(5, 20, None), (None, None, 7), (-10, None, None), (None, -60, None), (None, None, -1), (40, 10, -3),
          (20, 20, None), (500, 600, None), (-1000, 3, None), (None, -1000, -1)]


@pytest.mark.parametrize("bounds", SLICES, ids=str)
@pytest.mark.parametrize("key", FILES)
class TestSlice:
    def test_rows(self, client, key, bounds):
        found = decode.array(client.get({"key": key, "node": "X", "obs": span(*bounds)}))
        same_array(found, part(LOADED[key], slice(*bounds)))

    def test_columns(self, client, key, bounds):
        found = decode.array(client.get({"key": key, "node": "X", "var": span(*bounds)}))
        same_array(found, part(LOADED[key], columns=slice(*bounds)))


@pytest.mark.parametrize("key", FILES)
class TestKinds:
    """One selector of each kind on X."""

    def test_all(self, client, key):
        found = client.get({"key": key, "node": "X", "obs": {"all": True}, "var": {"all": True}})
        same_array(decode.array(found), LOADED[key].X)

    @pytest.mark.parametrize("index", [[3], [5, 1, 5, -1, 0], [-70, 69], list(range(60, 0, -7)), []], ids=str)
    def test_index_keeps_order_and_duplicates(self, client, key, index):
        found = client.get({"key": key, "node": "X", "obs": {"index": index}})
        same_array(decode.array(found), part(LOADED[key], numpy.array(index, dtype=int)))
        found = client.get({"key": key, "node": "X", "var": {"index": index}})
        same_array(decode.array(found), part(LOADED[key], columns=numpy.array(index, dtype=int)))

    def test_integer_keeps_the_axis(self, client, key):
        found = client.get({"key": key, "node": "X", "obs": {"integer": -2}})
        same_array(decode.array(found), part(LOADED[key], [LOADED[key].n_obs - 2]))

    @pytest.mark.parametrize("spelling", ["list", "bits", "bits without length"])
    def test_mask(self, client, key, spelling):
        mask = numpy.random.default_rng(1).random(LOADED[key].n_obs) < 0.3
        bits = base64.b64encode(numpy.packbits(mask, bitorder="little").tobytes()).decode()
        spelled = {"list": mask.tolist(), "bits": {"bits": bits, "length": len(mask)}, "bits without length": {"bits": bits}}
        found = client.get({"key": key, "node": "X", "obs": {"mask": spelled[spelling]}})
        same_array(decode.array(found), part(LOADED[key], mask))

    def test_empty_mask(self, client, key):
        found = client.get({"key": key, "node": "X", "obs": {"mask": [False] * LOADED[key].n_obs}})
        same_array(decode.array(found), part(LOADED[key], numpy.zeros(LOADED[key].n_obs, dtype=bool)))

    def test_names(self, client, key):
        data = LOADED[key]
        cells, genes = [data.obs_names[9], data.obs_names[2]], ["TNFRSF4", "HES4", "TNFRSF4"]
        found = client.get({"key": key, "node": "X", "obs": {"names": cells}, "var": {"names": genes}})
        same_array(decode.array(found), part(data, [9, 2], data.var_names.get_indexer(genes)))

    @pytest.mark.parametrize(
        ("where", "meant"),
        [
            ("cell_type = 'CD34+' OR cell_type LIKE 'CD19%'", lambda obs: obs.cell_type.isin(["CD34+", "CD19+ B"])),
            ("cell_type NOT IN ('CD34+')", lambda obs: obs.cell_type != "CD34+"),
            ("\"index\" < 'C'", lambda obs: obs.index < "C"),
            ("cell_type = 'no such type'", lambda obs: obs.cell_type == "no such type"),
        ],
    )
    def test_where(self, client, key, where, meant):
        found = client.get({"key": key, "node": "X", "obs": {"where": where}})
        same_array(decode.array(found), part(LOADED[key], numpy.asarray(meant(LOADED[key].obs))))

    def test_where_on_var(self, client, key):
        found = client.get({"key": key, "node": "X", "var": {"where": "highly_variable AND n_counts > 1000"}})
        var = LOADED[key].var
        same_array(decode.array(found), part(LOADED[key], columns=(var.highly_variable & (var.n_counts > 1000)).to_numpy()))

    def test_outer_product_of_fancy_selections(self, client, key):
        rows, columns = [7, 3, 3, 50], [700, 1, 1, 20, 764]
        found = client.get({"key": key, "node": "X", "obs": {"index": rows}, "var": {"index": columns}})
        same_array(decode.array(found), part(LOADED[key], rows, columns))

    def test_mask_on_both_axes(self, client, key):
        data = LOADED[key]
        rows, columns = (numpy.arange(length) % 3 == 1 for length in data.shape)
        found = client.get({"key": key, "node": "X", "obs": {"mask": rows.tolist()}, "var": {"mask": columns.tolist()}})
        same_array(decode.array(found), part(data, rows, columns))

    def test_composition_is_a_subset_of_a_subset(self, client, key):
        data = LOADED[key]
        where = {"where": "percent_mito > 0.015"} if "percent_mito" in data.obs else {"where": "cell_type <> 'CD34+'"}
        mask = data.obs.percent_mito > numpy.float32(0.015) if "percent_mito" in data.obs else data.obs.cell_type != "CD34+"
        rows = numpy.arange(data.n_obs)[mask.to_numpy()][::-2][[4, 0, -1]]
        obs = [where, span(None, None, -2), {"index": [4, 0, -1]}]
        same_array(decode.array(client.get({"key": key, "node": "X", "obs": obs})), part(data, rows))

    @pytest.mark.parametrize("text", ["0:10, ::2", "..., 3:5", "5:1:-1, ...", "::-1", "-3, 7:9", "10:20"])
    def test_numpy_spelling(self, client, key, text):
        rows, columns = {
            "0:10, ::2": (slice(0, 10), slice(None, None, 2)),
            "..., 3:5": (slice(None), slice(3, 5)),
            "5:1:-1, ...": (slice(5, 1, -1), slice(None)),
            "::-1": (slice(None, None, -1), slice(None)),
            "-3, 7:9": ([LOADED[key].n_obs - 3], slice(7, 9)),
            "10:20": (slice(10, 20), slice(None)),
        }[text]
        same_array(decode.array(client.get({"key": key, "node": "X", "slice": text})), part(LOADED[key], rows, columns))

    def test_axes_and_obs_var_mean_the_same(self, client, key):
        rows, columns = {"index": [9, 1]}, span(3, 30, 4)
        named = client.get({"key": key, "node": "X", "obs": rows, "var": columns})
        numbered = client.get({"key": key, "node": "X", "axes": [rows, columns]})
        assert named.equals(numbered)

    def test_frames_follow_their_axis(self, client, key):
        data = LOADED[key]
        rows, columns = {"index": [9, 1, 9]}, {"names": ["TNFRSF4", "HES4"]}
        same_frame(client.get({"key": key, "node": "obs", "obs": rows}), data.obs.iloc[[9, 1, 9]])
        same_frame(client.get({"key": key, "node": "var", "var": columns}), data.var.loc[["TNFRSF4", "HES4"]])


class TestNullableColumns:
    """Columns that the reference's accessor cannot subset."""

    key = "variants/variants.h5ad"

    @pytest.mark.parametrize(
        ("where", "rows"),
        [("ni = 1", slice(0, None, 2)), ("ni IS NULL", slice(1, None, 2)), ("nb", slice(0, None, 2)),
         ("ns IS NULL AND NOT boo", slice(1, None, 2)), ("txt = 's7'", [7])],
    )
    def test_where(self, client, where, rows):
        data = LOADED[self.key]
        same_frame(client.get({"key": self.key, "node": "obs", "obs": {"where": where}}), data.obs.iloc[rows])
        same_array(decode.array(client.get({"key": self.key, "node": "X", "obs": {"where": where}})), data.X[rows])

    def test_table_spelling_of_where(self, client):
        expected = LOADED[self.key].obs.query("n_genes > 1200")
        same_frame(client.get({"key": self.key, "node": "obs", "where": "n_genes > 1200"}), expected)


class TestOtherNodes:
    """The axis of a node is the axis of its group."""

    key = "variants/variants.h5ad"
    obs, var = {"index": [150, 3, 77]}, span(700, None, 13)

    def test_layers(self, client):
        found = client.get({"key": self.key, "node": "layers/csc", "obs": self.obs, "var": self.var})
        same_array(decode.array(found), LOADED[self.key].layers["csc"][[150, 3, 77]][:, 700::13])

    def test_obsm(self, client):
        found = client.get({"key": self.key, "node": "obsm/X_pca", "obs": self.obs})
        same_array(decode.array(found), LOADED[self.key].obsm["X_pca"][[150, 3, 77]])

    def test_varm(self, client):
        found = client.get({"key": self.key, "node": "varm/PCs", "var": self.var})
        same_array(decode.array(found), LOADED[self.key].varm["PCs"][700::13])

    def test_obsp(self, client):
        found = client.get({"key": self.key, "node": "obsp/distances", "obs": self.obs})
        rows = [150, 3, 77]
        same_array(decode.array(found), LOADED[self.key].obsp["distances"][rows][:, rows])

    def test_raw(self, client):
        found = client.get({"key": self.key, "node": "raw/X", "obs": self.obs})
        same_array(decode.array(found), LOADED[self.key].raw.X[[150, 3, 77]])

    def test_squeeze(self, client):
        found = decode.array(client.get({"key": DENSE, "node": "X", "var": {"integer": 5}, "squeeze": True}))
        same_array(found, LOADED[DENSE].X[:, 5])


MATRICES = [(key, "X") for key in FILES] + [("variants/variants.h5ad", "layers/csc")]
SPARSE_MATRICES = [(key, node) for key, node in MATRICES if key in SPARSE]


def matrix(key, node):
    """The reference's matrix of a node."""
    data = LOADED[key]
    return data.X if node == "X" else data.layers[node.removeprefix("layers/")]


def narrowed(found, rows, columns):
    """Rows, then columns, of a numpy or scipy matrix."""
    return found[rows][:, columns]


def same_coordinates(found, expected):
    """One row per stored entry of `expected`, in the order of its stored axis; returns nothing."""
    name = found.column_names[2]
    assert found.column_names == ["row", "column", name]
    assert [str(found.schema.field(at).type) for at in range(2)] == ["int64", "int64"]
    rows, columns, values = (found.column(at).to_numpy() for at in range(3))
    assert values.dtype == expected.dtype
    assert json.loads(found.schema.field(2).metadata[b"shape"]) == list(expected.shape)
    expected = expected.copy()
    expected.sort_indices()
    wanted = expected.tocoo()
    major = rows if expected.format == "csr" else columns
    assert (numpy.diff(major) >= 0).all(), "entries are in the order of the stored axis"
    order = numpy.lexsort((columns, rows) if expected.format == "csr" else (rows, columns))
    numpy.testing.assert_array_equal(rows[order], wanted.row)
    numpy.testing.assert_array_equal(columns[order], wanted.col)
    numpy.testing.assert_array_equal(values[order], wanted.data)


class TestLayouts:
    """The same elements in the form that is asked for."""

    request = {"obs": {"index": [9, 1, 30]}, "var": span(None, None, 100)}
    rows, columns = [9, 1, 30], slice(None, None, 100)

    @pytest.mark.parametrize(("key", "node"), MATRICES)
    def test_dense(self, client, key, node):
        found = client.get({"key": key, "node": node, **self.request, "layout": "dense"})
        same_array(decode.array(found), decode.dense(narrowed(matrix(key, node), self.rows, self.columns)))

    @pytest.mark.parametrize(("key", "node"), MATRICES)
    def test_wide(self, client, key, node):
        found = client.get({"key": key, "node": node, **self.request, "layout": "wide"})
        assert found.column_names == list(LOADED[key].var_names[self.columns])
        expected = decode.dense(narrowed(matrix(key, node), self.rows, self.columns))
        numpy.testing.assert_array_equal(found.to_pandas().to_numpy(), expected)

    @pytest.mark.parametrize(("key", "node"), SPARSE_MATRICES)
    def test_rows(self, client, key, node):
        found = decode.array(client.get({"key": key, "node": node, **self.request, "layout": "rows"}))
        assert found.format == "csr"
        same_array(found, narrowed(matrix(key, node), self.rows, self.columns).tocsr())

    @pytest.mark.parametrize(("key", "node"), SPARSE_MATRICES)
    def test_coordinates(self, client, key, node):
        found = client.get({"key": key, "node": node, **self.request, "layout": "coo"})
        same_coordinates(found, narrowed(matrix(key, node), self.rows, self.columns))

    @pytest.mark.parametrize(("key", "node"), SPARSE_MATRICES)
    def test_all_coordinates(self, client, key, node):
        request = {"key": key, "node": node, "layout": "coo"}
        same_coordinates(client.get(request), matrix(key, node))
        info = client.info(request)
        assert info.total_records == -1 and len(info.endpoints) == 1

    @pytest.mark.parametrize(("key", "node"), SPARSE_MATRICES)
    @pytest.mark.parametrize("layout", ["rows", "dense"])
    def test_limit_and_offset_of_rows(self, client, key, node, layout):
        request = {"key": key, "node": node, "layout": layout, "obs": span(None, None, -1), "offset": 3, "limit": 5}
        found, expected = client.get(request), matrix(key, node)[::-1][3:8]
        assert client.info(request).total_records == 5
        same_array(decode.dense(decode.array(found)), decode.dense(expected))

    @pytest.mark.parametrize(("key", "node"), SPARSE_MATRICES)
    def test_rows_with_their_names(self, client, key, node):
        request = {"key": key, "node": node, **self.request, "layout": "rows", "with_index": True}
        found = client.get(request | {"with_obs": ["cell_type"]})
        data = LOADED[key]
        assert found.column(0).to_pylist() == list(data.obs_names[self.rows])
        assert found.column(1).to_pylist() == list(data.obs.cell_type.iloc[self.rows])
        same_array(decode.array(found), narrowed(matrix(key, node), self.rows, self.columns).tocsr())

    @pytest.mark.parametrize("field", [{"limit": 3}, {"offset": 1}, {"with_index": True}, {"with_obs": ["cell_type"]}], ids=str)
    @pytest.mark.parametrize(("key", "node"), SPARSE_MATRICES)
    def test_what_is_about_rows_is_refused_of_coordinates(self, client, key, node, field):
        with pytest.raises(NotImplementedError, match=f"{next(iter(field))}.*'{node}'.*(?i:coo)"):
            client.get({"key": key, "node": node, "layout": "coo", **field})

    def test_coordinates_of_a_dense_matrix_are_refused(self, client):
        with pytest.raises(NotImplementedError, match="(?i)coo.*'X'"):
            client.get({"key": DENSE, "node": "X", "layout": "coo"})


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("key", FILES)
def test_random_requests(client, key, seed):
    """Any composition on both axes is numpy's; the seed is in the test's name."""
    chance, data = random.Random(seed), LOADED[key]
    (obs, rows), (var, columns) = (selections.axis(chance, length) for length in data.shape)
    found = client.get({"key": key, "node": "X", "obs": obs, "var": var})
    same_array(decode.array(found), part(data, rows, columns))


# Windows of 256 KiB: many rows of a matrix stored by columns are counted first and take several passes.
NARROW = """
[limits]
memory_budget = "8 MiB"
stream_memory = "1 MiB"
"""


@pytest.fixture(scope="module", params=["usual windows", "narrow windows"])
def windowed(request, every_file):
    settings = NARROW if request.param == "narrow windows" else None
    client = Client(every_file.serve(settings=settings).uri)
    yield client
    client.close()


@pytest.mark.parametrize("layout", ["rows", "dense", "coo"])
@pytest.mark.parametrize(("key", "node"), SPARSE_MATRICES)
class TestOtherLayouts:
    """Every layout has the elements of the reference, whatever the windows."""

    def check(self, client, request, expected):
        found = client.get(request)
        if request["layout"] == "coo":
            same_coordinates(found, expected)
        else:
            same_array(decode.array(found), expected.tocsr() if request["layout"] == "rows" else expected.toarray())

    def test_everything(self, windowed, key, node, layout):
        self.check(windowed, {"key": key, "node": node, "layout": layout}, matrix(key, node))

    @pytest.mark.parametrize("seed", range(100, 112))
    def test_random_requests(self, windowed, key, node, seed, layout):
        """Duplicates, reversed and empty selections on both axes are scipy's."""
        chance, whole = random.Random(seed), matrix(key, node)
        (obs, rows), (var, columns) = (selections.axis(chance, length) for length in whole.shape)
        request = {"key": key, "node": node, "obs": obs, "var": var, "layout": layout}
        self.check(windowed, request, narrowed(whole, rows, columns))


def test_narrow_windows_take_passes(every_file):
    """What the narrow server answers above is not read in one pass."""
    client = Client(every_file.serve(settings=NARROW).uri)
    request = {"key": "variants/csc.h5ad", "node": "X", "layout": "dense"}
    plan = client.action("explain", request)
    assert plan["windows"] > 3 and plan["exact"] is False
    assert len([batch for batch in client.reader(request)]) >= plan["windows"] // 2
    client.close()
