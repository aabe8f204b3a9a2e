"""A collection of AnnData read as one equals `anndata.concat` of its members in memory, element by element;
what infos, tickets, actions and commands tell of it.
"""

import pyarrow
import pyarrow.flight as flight
import pytest

import decode
from expect import same_array
from members import ALL, MIXED, SPARSE, Joined, same_joined_frame
from wire import Client, described


@pytest.fixture(scope="module")
def joined(site):
    return Joined(site)


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
