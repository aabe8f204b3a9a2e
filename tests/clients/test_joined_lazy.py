"""What is read of which member of a collection of AnnData, and in which windows."""

import random

import anndata
import numpy
import pandas
import pytest
import scipy.sparse

import decode
from expect import same_array
from members import ALL, Joined, same_joined_frame, same_values
from wire import Client


@pytest.fixture(scope="module")
def joined(site):
    return Joined(site)


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
