"""A collection of AnnData read as one equals `anndata.concat` of its members in memory, element by element.

The members are HDF5 files and zarr stores, sparse by rows, sparse by columns and dense, with other
variables, other columns of obs and other categories.
"""

import json
import random

import anndata
import numpy
import pandas
import pyarrow
import pyarrow.flight as flight
import pytest
import scipy.sparse

import decode
from expect import read_anndata, same_array
from wire import Client, described

GENES = {
    "rows": ["MS4A1", "CD3D", "NKG7", "LYZ", "GNLY", "PPBP"],
    "columns": ["CD3D", "LYZ", "CD8A", "MS4A1", "é-gene"],
    "dense": ["LYZ", "CD3D", "MS4A1", "CST3"],
    "same": ["MS4A1", "CD3D", "NKG7", "LYZ", "GNLY", "PPBP"],
}
LENGTHS = {"rows": 40, "columns": 25, "dense": 30, "same": 17}
STORES = {"rows": ".h5ad", "columns": "_v3.zarr", "dense": "_v2.zarr", "same": ".h5ad"}
SPARSE, MIXED, ALL = ("rows", "columns", "same"), ("rows", "dense"), ("rows", "columns", "dense", "same")


def matrix(name, dtype, seed=0):
    """Few entries for each cell and gene, none of them zero."""
    chance = numpy.random.default_rng(len(name) + seed)
    shape = (LENGTHS[name], len(GENES[name]))
    return (chance.integers(1, 9, shape) * (chance.random(shape) < 0.4)).astype(dtype)


def member(name):
    """One AnnData: what it has in common with the others, and what it alone has."""
    count, chance = LENGTHS[name], numpy.random.default_rng(len(name))
    kinds = {"rows": ["B", "T10", "T2"], "columns": ["T2", "NK"], "dense": ["B", "mono"], "same": ["T2", "B", "T10"]}
    obs = pandas.DataFrame(index=pandas.Index([f"{name}-{row}" for row in range(count)], name="barcode"))
    codes = chance.integers(-1, len(kinds[name]), count)
    obs["cell_type"] = pandas.Categorical.from_codes(codes, categories=kinds[name])
    obs["n_genes"] = chance.integers(0, 900, count).astype({"rows": "i4", "columns": "i8"}.get(name, "i2"))
    obs["score"] = chance.random(count).astype("f4" if name == "rows" else "f8")
    obs["good"] = chance.random(count) < 0.5
    obs["note"] = [f"ü {row % 3}" for row in range(count)]
    obs["stage"] = pandas.Categorical(
        chance.choice(["low", "mid", "high"], count), categories=["low", "mid", "high"], ordered=True
    )
    obs["depth"] = pandas.Categorical(
        chance.choice(["a", "b"], count), categories=["b", "a"] if name == "dense" else ["a", "b"], ordered=True
    )
    obs["donor"] = obs["note"].astype("category") if name == "columns" else obs["note"]
    obs["nullable"] = pandas.array([None if row % 4 == 0 else row for row in range(count)], dtype="Int32")
    obs["number"] = pandas.Categorical(chance.integers(0, 12, count))
    if name != "dense":
        obs["only_sparse"] = chance.integers(0, 5, count)
        obs["flag"] = chance.random(count) < 0.5
        obs["batch"] = pandas.Categorical(chance.choice(["x1", "x10"], count))
    if name == "columns":
        obs["last"] = chance.random(count).astype("f4")
    var = pandas.DataFrame({"length": numpy.arange(len(GENES[name]))}, index=pandas.Index(GENES[name], name="gene"))
    kind = {"columns": scipy.sparse.csc_matrix, "dense": numpy.asarray}.get(name, scipy.sparse.csr_matrix)
    data = anndata.AnnData(kind(matrix(name, "f8" if name == "columns" else "f4")), obs=obs, var=var)
    data.layers["counts"] = kind(matrix(name, "i8" if name == "same" else "i4", 1))
    if name != "columns":
        data.layers["some"] = kind(matrix(name, "f4", 2))
    data.layers["plain"] = matrix(name, "f4", 3)
    data.layers["integers"] = matrix(name, "i2" if name == "rows" else "u2", 4)
    data.obsm["X_pca"] = chance.random((count, {"rows": 4, "columns": 3}.get(name, 5))).astype("f4")
    data.obsm["sparse"] = scipy.sparse.csr_matrix(chance.random((count, 3 + len(name) % 2)))
    if name == "rows":
        data.obsm["alone"] = chance.random((count, 2)).astype("f4")
        data.obsm["table"] = pandas.DataFrame({"a": numpy.arange(count)}, index=obs.index)
    data.obsm["cube"] = chance.random((count, 2, 3))
    data.obsp["graph"] = scipy.sparse.identity(count, format="csr")
    data.uns["title"] = name
    if name != "dense":
        data.raw = data[:, :3].copy() if name != "same" else data.copy()
    return data


class Joined:
    """The members in the bucket, the collections of them, and what anndata makes of these."""

    def __init__(self, site):
        self.site, self.keys, self.data = site, {}, {}
        for name in ALL:
            key, path = f"joined/{name}{STORES[name]}", site.folder / f"{name}{STORES[name]}"
            data = member(name)
            if path.suffix == ".zarr":
                anndata.settings.zarr_write_format = 3 if "v3" in path.name else 2
                data.write_zarr(path, chunks=None)
            else:
                data.write_h5ad(path, compression="gzip")
            site.register(key, source=path)
            self.keys[name], self.data[name] = key, read_anndata(path)
        self.client = Client(site.serve().uri)
        self.uids = {
            name: self.client.action("describe", {"key": key})["artifact"]["uid"] for name, key in self.keys.items()
        }
        self.collections = {}

    def collection(self, names):
        """The key of the collection of these members."""
        key = "-".join(names)
        if names not in self.collections:
            self.site.command("collection", "create", key, *(self.keys[name] for name in names))
            self.collections[names] = key
        return key

    def whole(self, names, join):
        """The reference: `anndata.concat` of the members."""
        members = [self.data[name].copy() for name in names]
        for data in members:
            # data frames are not joined, and would refuse the others of the same name
            data.obsm.pop("table", None)
        return anndata.concat(members, join=join, label="artifact_uid", keys=[self.uids[name] for name in names])

    def get(self, names, node, join=None, **fields):
        request = {"collection": self.collection(names), "node": node, **fields}
        return self.client.get(request if join is None else request | {"join": join})


@pytest.fixture(scope="module")
def joined(site):
    return Joined(site)


def same_values(found, expected):
    """The values of an Arrow column are those of a pandas series; missing ones are equal."""
    found = [None if value != value else value for value in found.to_pylist()]
    expected = [None if pandas.isna(value) else value for value in expected.tolist()]
    assert found == expected


def same_joined_frame(table, expected, types=True):
    """Columns, index, values, categories with their order, and the types that have no gaps."""
    frame = table.to_pandas()
    assert list(frame.columns) == list(expected.columns)
    assert frame.index.name == expected.index.name
    assert list(frame.index) == list(expected.index)
    assert table.column_names[:-1] == list(expected.columns)
    for name in expected.columns:
        column, wanted = table.column(name).combine_chunks(), expected[name]
        same_values(column, wanted)
        if isinstance(wanted.dtype, pandas.CategoricalDtype):
            assert pyarrow.types.is_dictionary(column.type)
            assert column.type.index_type == pyarrow.from_numpy_dtype(wanted.cat.codes.dtype)
            assert column.type.ordered == wanted.cat.ordered
            assert column.dictionary.to_pylist() == wanted.cat.categories.tolist()
        else:
            assert not pyarrow.types.is_dictionary(column.type)
            if types and not wanted.isna().any() and wanted.dtype != object:
                assert column.type == pyarrow.array(wanted).type, name


@pytest.mark.parametrize("names", [ALL, SPARSE, MIXED, ("dense",), ("columns", "rows"), ("same", "rows")])
@pytest.mark.parametrize("join", ["inner", "outer"])
class TestWhole:
    """Every joined node, whole."""

    def test_obs(self, joined, names, join):
        same_joined_frame(joined.get(names, "obs", join), joined.whole(names, join).obs)

    def test_var(self, joined, names, join):
        expected = joined.whole(names, join).var
        found = joined.get(names, "var", join).to_pandas()
        assert list(found.index) == list(expected.index) and found.index.name == expected.index.name
        assert list(found.columns) == list(expected.columns) == []

    @pytest.mark.parametrize("layout", ["auto", "rows", "dense"])
    @pytest.mark.parametrize("node", ["X", "layers/counts", "layers/plain", "layers/integers", "layers/some"])
    def test_matrix(self, joined, names, join, node, layout):
        whole = joined.whole(names, join)
        expected = whole.X if node == "X" else whole.layers.get(node.split("/")[1])
        if expected is None:
            with pytest.raises(KeyError, match="columns_v3.zarr"):
                joined.get(names, node, join, layout=layout)
            return
        found = decode.array(joined.get(names, node, join, layout=layout))
        if layout == "dense":
            expected = decode.dense(expected)
        same_array(found, expected)

    @pytest.mark.parametrize("node", ["X_pca", "sparse", "alone", "cube"])
    def test_obsm(self, joined, names, join, node):
        expected = joined.whole(names, join).obsm.get(node)
        if expected is None:
            with pytest.raises(KeyError, match="no node 'obsm/alone'"):
                joined.get(names, f"obsm/{node}", join)
            return
        same_array(decode.array(joined.get(names, f"obsm/{node}", join)), expected)

    def test_raw(self, joined, names, join):
        raw = joined.whole(names, join).raw
        if raw is None:
            with pytest.raises(KeyError, match="raw"):
                joined.get(names, "raw/X", join)
            return
        same_array(decode.array(joined.get(names, "raw/X", join)), raw.X)
        assert list(joined.get(names, "raw/var", join).to_pandas().index) == list(raw.var_names)


class TestSelected:
    """Selections are over the joined axes."""

    def test_the_request_of_the_documentation(self, joined):
        request = {
            "node": "X", "join": "outer", "obs": {"where": "cell_type = 'B'"}, "var": {"names": ["CD3D", "MS4A1"]},
            "withObs": ["cell_type", "artifact_uid"],
        }
        command = json.dumps(request | {"collection": joined.collection(ALL)})
        info = joined.client.flight.get_flight_info(flight.FlightDescriptor.for_command(command))
        table = joined.client.reader(info.endpoints[0].ticket).read_all()
        whole = joined.whole(ALL, "outer")
        expected = whole[whole.obs.cell_type == "B", ["CD3D", "MS4A1"]]
        assert table.column_names == ["cell_type", "artifact_uid", "X"]
        same_array(decode.array(table), expected.X)
        same_values(table.column("cell_type"), expected.obs.cell_type)
        same_values(table.column("artifact_uid"), expected.obs.artifact_uid)

    def test_a_path(self, joined):
        table = joined.client.get((joined.collection(ALL), "obs"))
        same_joined_frame(table, joined.whole(ALL, "inner").obs)

    @pytest.mark.parametrize("layout", ["auto", "dense", "wide"])
    @pytest.mark.parametrize("names", [ALL, SPARSE, MIXED], ids=["all", "sparse", "mixed"])
    @pytest.mark.parametrize("seed", range(12))
    def test_random_selections(self, joined, names, layout, seed):
        chance = random.Random(f"{names} {layout} {seed}")
        join = chance.choice(["inner", "outer"])
        whole = joined.whole(names, join)
        obs, rows = some_rows(chance, whole)
        var, columns = some_columns(chance, whole, layout == "wide")
        node = chance.choice(["X", "layers/plain", "layers/counts"])
        table = joined.get(names, node, join, obs=obs, var=var, layout=layout, withObs=["note"], withIndex=True)
        matrix = whole.X if node == "X" else whole.layers[node.split("/")[1]]
        expected = matrix[rows][:, columns]
        assert table.column("barcode").to_pylist() == list(whole.obs_names[rows])
        same_values(table.column("note"), whole.obs.note.iloc[rows])
        if layout == "wide":
            assert table.column_names[2:] == list(whole.var_names[columns])
            found = numpy.stack([column.to_numpy() for column in table.columns[2:]], axis=1)
            same_array(found, decode.dense(expected))
        else:
            same_array(decode.array(table), expected if layout == "auto" else decode.dense(expected))

    @pytest.mark.parametrize("seed", range(8))
    def test_random_rows_of_obs(self, joined, seed):
        chance = random.Random(seed)
        join = chance.choice(["inner", "outer"])
        whole = joined.whole(ALL, join)
        obs, rows = some_rows(chance, whole)
        table = joined.get(ALL, "obs", join, obs=obs)
        same_joined_frame(table, whole.obs.iloc[rows])

    def test_where_of_the_uid(self, joined):
        whole, uid = joined.whole(ALL, "inner"), joined.uids["dense"]
        table = joined.get(ALL, "obs", obs={"where": f"artifact_uid = '{uid}' AND stage IN ('low', 'high')"})
        expected = whole.obs[(whole.obs.artifact_uid == uid) & whole.obs.stage.isin(["low", "high"])]
        same_joined_frame(table, expected)

    def test_where_of_united_columns(self, joined):
        """Numbers of other types, text and categorical, and a column that not all have."""
        whole = joined.whole(ALL, "outer").obs
        wheres = {
            "n_genes >= 450 AND score < 0.75": (whole.n_genes >= 450) & (whole.score < 0.75),
            "donor = 'ü 1'": whole.donor == "ü 1",
            "only_sparse <= 2": whole.only_sparse <= 2,
            "flag": whole.flag.fillna(False).astype(bool),
            "depth = 'a' OR batch = 'x10'": (whole.depth == "a") | (whole.batch == "x10"),
            "nullable IS NULL": whole.nullable.isna(),
            "cell_type IS NULL": whole.cell_type.isna(),
        }
        for where, expected in wheres.items():
            table = joined.get(ALL, "obs", "outer", columns=["barcode"], obs={"where": where})
            assert table.column("barcode").to_pylist() == list(whole.index[expected]), where
            table = joined.get(ALL, "obs", "outer", columns=["barcode"], where=where, limit=3, offset=1)
            assert table.column("barcode").to_pylist() == list(whole.index[expected])[1:4], where

    def test_names_and_composed_selectors(self, joined):
        whole = joined.whole(ALL, "outer")
        names = ["same-3", "rows-39", "dense-0", "columns-24", "rows-0"]
        table = joined.get(ALL, "X", "outer", obs=[{"names": names}, {"slice": {"step": -2}}], var={"slice": {"start": 1}})
        same_array(decode.array(table), whole[names].X[::-2][:, 1:])
        mask = [row % 7 == 2 for row in range(whole.n_obs)]
        table = joined.get(ALL, "obsm/X_pca", "outer", obs=[{"mask": mask}, {"index": [-1, 0, 3]}])
        same_array(decode.array(table), whole.obsm["X_pca"][numpy.flatnonzero(mask)[[-1, 0, 3]]])
        table = joined.get(ALL, "X", "inner", slice="5:100:3, ::-1")
        same_array(decode.array(table), joined.whole(ALL, "inner").X[5:100:3, ::-1])

    def test_columns_in_asked_order(self, joined):
        columns = ["artifact_uid", "batch", "barcode", "last"]
        table = joined.get(ALL, "obs", "outer", columns=columns, limit=70)
        expected = joined.whole(ALL, "outer").obs.reset_index()[columns].iloc[:70]
        assert table.column_names == columns
        for name in columns:
            same_values(table.column(name), expected[name])

    def test_one_column(self, joined):
        expected = joined.whole(ALL, "outer").obs.batch
        table = joined.get(ALL, "obs/batch", "outer", obs={"slice": {"start": 35}})
        assert table.column_names == ["batch"]
        same_values(table.column("batch"), expected.iloc[35:])

    @pytest.mark.parametrize("node", ["obs", "X", "layers/plain", "obsm/X_pca"])
    def test_nothing_selected(self, joined, node):
        whole = joined.whole(ALL, "outer")
        table = joined.get(ALL, node, "outer", obs={"where": "n_genes < 0"})
        if node == "obs":
            same_joined_frame(table, whole.obs.iloc[:0], types=False)
        else:
            assert decode.array(table).shape == (0, whole.obsm["X_pca"].shape[1] if node == "obsm/X_pca" else whole.n_vars)


def some_rows(chance, whole):
    """A selector of observations, and their positions."""
    count = whole.n_obs
    kind = chance.choice(["all", "slice", "index", "where", "names"])
    if kind == "all":
        return {"all": True}, numpy.arange(count)
    if kind == "slice":
        start, stop, step = chance.randrange(count), chance.randrange(count), chance.choice([1, 2, -1, -3])
        return {"slice": {"start": start, "stop": stop, "step": step}}, numpy.arange(count)[start:stop:step]
    if kind == "where":
        return {"where": "cell_type = 'B' AND n_genes > 200"}, numpy.flatnonzero(
            (whole.obs.cell_type == "B") & (whole.obs.n_genes > 200)
        )
    rows = numpy.array([chance.randrange(count) for _ in range(chance.randrange(1, 60))])
    if kind == "names":
        rows = pandas.unique(rows)
        return {"names": list(whole.obs_names[rows])}, rows
    return {"index": rows.tolist()}, rows


def some_columns(chance, whole, distinct):
    """A selector of variables, and their positions; with duplicates unless they must be `distinct`."""
    count = whole.n_vars
    kind = chance.choice(["all", "slice", "index", "names"])
    if kind == "all":
        return {"all": True}, numpy.arange(count)
    if kind == "slice":
        step = chance.choice([1, -1, 2])
        return {"slice": {"step": step}}, numpy.arange(count)[::step]
    columns = numpy.array([chance.randrange(count) for _ in range(chance.randrange(1, 6))])
    if distinct or kind == "names":
        columns = pandas.unique(columns)
    return ({"names": list(whole.var_names[columns])} if kind == "names" else {"index": columns.tolist()}), columns


class TestLazy:
    """What is read of which member."""

    def reads(self, joined, run):
        """Keys of the objects that `run` reads data of: requests of a server that knows the trees, by member."""
        client = Client(joined.site.serve().uri)
        client.info({"collection": joined.collection(ALL), "node": "X", "join": "outer"})
        joined.site.cloud.reset()
        answer = run(client)
        log = [entry for entry in joined.site.cloud.log_entries() if entry["method"] == "GET"]
        return answer, log

    def test_only_members_with_selected_rows_are_read(self, joined):
        request = {"collection": joined.collection(ALL), "node": "X", "join": "outer", "obs": {"index": [45, 50]}}
        table, log = self.reads(joined, lambda client: client.direct(request))
        assert table.num_rows == 2
        assert log and {entry["key"].split("/")[1] for entry in log} == {"columns_v3.zarr"}
        assert {entry["key"].split("/")[2] for entry in log} == {"X"}

    def test_members_without_selected_variables_are_not_read(self, joined):
        request = {"collection": joined.collection(ALL), "node": "X", "join": "outer", "var": {"names": ["CST3"]}}
        table, log = self.reads(joined, lambda client: client.direct(request))
        same_array(decode.array(table), joined.whole(ALL, "outer")[:, ["CST3"]].X)
        assert log and {entry["key"].split("/")[1] for entry in log} == {"dense_v2.zarr"}

    def test_a_filter_reads_the_column_that_it_names(self, joined):
        request = {
            "collection": joined.collection(ALL), "node": "obs", "columns": ["barcode"], "obs": {"where": "n_genes < 0"},
        }
        table, log = self.reads(joined, lambda client: client.direct(request))
        assert table.num_rows == 0
        of_zarr = {entry["key"].split(".zarr/")[1] for entry in log if ".zarr/" in entry["key"]}
        assert of_zarr and {path.split("/")[1] for path in of_zarr} == {"n_genes"}

    def test_names_of_variables_are_read_once(self, joined):
        client = Client(joined.site.serve().uri)
        request = {"collection": joined.collection(ALL), "node": "var", "join": "outer"}
        first = client.direct(request)
        joined.site.cloud.reset()
        assert client.direct(request).equals(first)
        assert client.direct(request | {"var": {"names": ["CD3D"]}}).num_rows == 1
        assert [entry for entry in joined.site.cloud.log_entries() if entry["method"] == "GET"] == []

    def test_explain_names_the_objects_of_the_members(self, joined):
        request = {"collection": joined.collection(ALL), "node": "X", "join": "outer", "obs": {"index": [3, 45, 4]}}
        client = Client(joined.site.serve().uri)
        plan = client.action("explain", request)
        assert plan["artifact"] == {"collection": joined.collection(ALL), "members": 4}
        assert plan["shape_after"] == [3, joined.whole(ALL, "outer").n_vars]
        arrays = {part["array"] for part in plan["ranges"]}
        assert {"joined/rows.h5ad/X/data", "joined/columns_v3.zarr/X/data"} <= arrays
        assert not any("dense" in array for array in arrays)


BIG = {"by_rows": 3000, "by_columns": 300, "dense_rows": 2500}


def big_member(name):
    """Rows of 300 genes, of which the members share 200."""
    chance, count = numpy.random.default_rng(len(name)), BIG[name]
    first = {"by_rows": 0, "by_columns": 100, "dense_rows": 50}[name]
    values = (chance.integers(1, 99, (count, 300)) * (chance.random((count, 300)) < 0.2)).astype("f4")
    obs = pandas.DataFrame(index=[f"{name}-{row}" for row in range(count)])
    obs["kind"] = pandas.Categorical(chance.choice(["a", "b", name], count))
    obs["value"] = chance.random(count)
    kind = {"by_rows": scipy.sparse.csr_matrix, "by_columns": scipy.sparse.csc_matrix}.get(name, numpy.asarray)
    data = anndata.AnnData(kind(values), obs=obs, var=pandas.DataFrame(index=[f"g{first + at}" for at in range(300)]))
    data.layers["plain"] = values
    return data


class TestWindows:
    """Windows and endpoints of answers of several members that are larger than the memory of a stream."""

    SETTINGS = '[limits]\nmemory_budget = "8 MiB"\nstream_memory = "1 MiB"\nendpoint_bytes = "1 MiB"\n'

    @pytest.fixture(scope="class")
    def big(self, site):
        members = {name: big_member(name) for name in BIG}
        for name, data in members.items():
            data.write_h5ad(site.folder / f"{name}.h5ad", compression="gzip")
            site.register(f"big/{name}.h5ad", source=site.folder / f"{name}.h5ad")
        site.command("collection", "create", "big", *(f"big/{name}.h5ad" for name in BIG))
        site.command("collection", "create", "divisible", "big/by_rows.h5ad", "big/dense_rows.h5ad")
        client = Client(site.serve(settings=self.SETTINGS).uri)
        uids = [client.action("describe", {"key": f"big/{name}.h5ad"})["artifact"]["uid"] for name in BIG]
        return client, anndata.concat(list(members.values()), join="outer", label="artifact_uid", keys=uids)

    @pytest.mark.parametrize("layout", ["auto", "dense"])
    @pytest.mark.parametrize("node", ["X", "layers/plain", "obs"])
    @pytest.mark.parametrize("seed", range(3))
    def test_narrow_windows(self, big, node, layout, seed):
        """All rows, and rows that alternate between members."""
        client, whole = big
        chance = random.Random(f"{node} {seed}")
        rows = [chance.randrange(whole.n_obs) for _ in range(2000)]
        selector, positions = [
            ({"all": True}, slice(None)),
            ({"index": rows}, rows),
            ({"slice": {"step": -3}}, slice(None, None, -3)),
        ][seed]
        request = {"collection": "big", "node": node, "join": "outer", "obs": selector}
        if node == "obs":
            if layout == "auto":
                same_joined_frame(client.get(request), whole.obs.iloc[positions])
            return
        columns = [chance.randrange(whole.n_vars) for _ in range(250)]
        table = client.get(request | {"layout": layout, "var": {"index": columns}, "withObs": ["value", "kind"]})
        expected = (whole.X if node == "X" else whole.layers["plain"])[positions][:, columns]
        same_array(decode.array(table), decode.dense(expected) if layout == "dense" else expected)
        same_values(table.column("value"), whole.obs.value.iloc[positions])
        same_values(table.column("kind"), whole.obs.kind.iloc[positions])

    @pytest.mark.parametrize("selector", [{"all": True}, {"index": [row * 7919 % 5500 for row in range(5500)]}])
    def test_several_endpoints(self, big, selector):
        client, whole = big
        request = {"collection": "divisible", "node": "layers/plain", "join": "outer", "obs": selector}
        info = client.info(request)
        assert len(info.endpoints) > 3 and info.total_records == 5500
        rows = [*range(3000), *range(3300, 5800)]
        rows = [rows[row] for row in selector.get("index", range(5500))]
        columns = [name for name in whole.var_names if int(name[1:]) < 350]
        same_array(decode.array(client.get(request)), whole[:, columns].layers["plain"][rows])

    def test_members_by_columns_make_one_endpoint(self, big):
        client, whole = big
        info = client.info({"collection": "big", "node": "X", "join": "outer", "layout": "dense"})
        assert len(info.endpoints) == 1 and info.total_records == whole.n_obs


class TestTickets:
    """What infos tell, and what tickets pin."""

    def test_totals(self, joined):
        info = joined.client.info({"collection": joined.collection(ALL), "node": "layers/plain", "join": "outer"})
        whole = joined.whole(ALL, "outer")
        assert info.total_records == whole.n_obs
        assert info.total_bytes == whole.layers["plain"].nbytes
        assert described(info)["shape_after"] == list(whole.shape)
        metadata = info.schema.metadata
        assert metadata[b"sliceflight.collection"].decode() == joined.collection(ALL)
        assert metadata[b"sliceflight.join"] == b"outer" and b"sliceflight.uid" not in metadata

    def test_a_changed_member_is_named(self, site, joined):
        names = {}
        for name in ("first", "second"):
            names[name] = f"changed/{name}.h5ad"
            site.register(names[name], source=site.folder / "rows.h5ad")
        site.command("collection", "create", "changed", *names.values())
        client = Client(site.serve().uri)
        request = {"collection": "changed", "node": "X"}
        ticket = client.info(request).endpoints[0].ticket
        assert client.reader(ticket).read_all().num_rows == 80
        site.put(names["second"], site.folder / "same.h5ad")
        fresh = Client(site.serve().uri)
        for asked in (client, fresh):
            with pytest.raises(pyarrow.ArrowInvalid, match="changed/second.h5ad"):
                asked.reader(ticket).read_all()
        site.register(names["second"])
        assert client.direct(request | {"obs": {"slice": {"stop": 40}}}).num_rows == 40, "the collection names versions"


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


class TestShown:
    """Actions and commands on such a collection."""

    def test_describe(self, joined):
        found = joined.client.action("describe", {"collection": joined.collection(ALL)})
        whole = joined.whole(ALL, "inner")
        assert found["kind"] == "anndata" and found["shape"] == list(whole.shape)
        assert found["attributes"]["obs"] == [*whole.obs.columns, "barcode"]
        assert found["attributes"]["layers"] == sorted(whole.layers)
        assert len(found["members"]) == 4

    def test_listed_and_schema(self, joined):
        key = joined.collection(ALL)
        assert key in [described(info)["key"] for info in joined.client.listed()]
        schema = joined.client.flight.get_schema(flight.FlightDescriptor.for_path(key, "obs")).schema
        assert schema.names[-2:] == ["artifact_uid", "barcode"]

    def test_commands(self, joined):
        key = joined.collection(SPARSE)
        whole = joined.whole(SPARSE, "outer")
        assert "n_obs × n_vars" in joined.site.command("inspect", key, "--collection").stdout
        assert "rows.h5ad" in joined.site.command("tree", key, "--collection").stdout
        path = joined.site.folder / "slice.arrow"
        joined.site.command("get", key, "X", "--collection", "--join", "outer", "--rows", "30:50", "--output", path)
        with pyarrow.ipc.open_file(path) as file:
            same_array(decode.array(file.read_all()), whole.X[30:50])
