"""Selections of a collection of AnnData equal those of `anndata.concat` of its members."""

import json
import random

import numpy
import pandas
import pyarrow.flight as flight
import pytest

import decode
from expect import same_array
from members import ALL, MIXED, SPARSE, Joined, same_joined_frame, same_values


@pytest.fixture(scope="module")
def joined(site):
    return Joined(site)


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
