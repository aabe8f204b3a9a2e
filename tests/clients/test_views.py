"""Files of other pipelines as AnnData, and AnnData objects below a root.

The oracle of each file is what its own reader makes of it: anndata.io.read_loom, scanpy.read_10x_h5 and mudata
(`tests/fixtures/generate_views.py` ran them); the selections are anndata's and numpy's in memory.
"""

import random

import anndata
import numpy
import pytest
import scipy.sparse

import decode
import stack
from conformance import selections
from conftest import PBMC
from expect import same_array, same_frame
from test_selectors import NARROW, narrowed, same_coordinates, span
from views import elements, large_loom, mudata_zarr, spatialdata_zarr, without_encodings
from wire import Client

VIEWS = stack.FIXTURES / "views"
MUDATA = elements(VIEWS / "mudata.h5mu")
# Key of an artifact, path of the view in it, the AnnData that it is.
CASES = {
    "written.loom": ("", anndata.read_h5ad(VIEWS / "written.loom.h5ad")),
    "plain.loom": ("", anndata.read_h5ad(VIEWS / "plain.loom.h5ad")),
    "cellranger3.h5": ("", anndata.read_h5ad(VIEWS / "cellranger3.h5.h5ad")),
    "cellranger2.h5": ("", anndata.read_h5ad(VIEWS / "cellranger2.h5.h5ad")),
    "genomes.h5:hg19": ("hg19", anndata.read_h5ad(VIEWS / "genomes.hg19.h5ad")),
    "genomes.h5:mm10": ("mm10", anndata.read_h5ad(VIEWS / "genomes.mm10.h5ad")),
    "mudata.h5mu:rna": ("mod/rna", MUDATA["mod/rna"]),
    "mudata.h5mu:prot": ("mod/prot", MUDATA["mod/prot"]),
    "mudata.zarr:rna": ("mod/rna", MUDATA["mod/rna"]),
    "mudata.zarr:prot": ("mod/prot", MUDATA["mod/prot"]),
    "old.h5mu:rna": ("mod/rna", MUDATA["mod/rna"]),
    "spatialdata2.zarr": ("tables/counts", MUDATA["mod/rna"]),
    "spatialdata3.zarr": ("tables/counts", MUDATA["mod/rna"]),
}
LOOM = ("written.loom", "plain.loom")


@pytest.fixture(scope="module")
def images(tmp_path_factory, notebook):
    """Registers all files; gives the arrays of the SpatialData stores."""
    folder = tmp_path_factory.mktemp("views")
    mudata_zarr(folder / "mudata.zarr", VIEWS / "mudata.h5mu")
    without_encodings(folder / "old.h5mu", VIEWS / "mudata.h5mu")
    for version in (2, 3):
        images = spatialdata_zarr(folder / f"spatialdata{version}.zarr", MUDATA["mod/rna"], version)
    for name in ("written.loom", "plain.loom", "cellranger3.h5", "cellranger2.h5", "genomes.h5", "mudata.h5mu"):
        notebook.register(name, source=VIEWS / name)
    for name in ("mudata.zarr", "old.h5mu", "spatialdata2.zarr", "spatialdata3.zarr"):
        notebook.register(name, source=folder / name)
    return images


@pytest.fixture(scope="module")
def client(notebook, images):
    client = Client(notebook.serve().uri)
    yield client
    client.close()


def request(case, node, **fields):
    """A request for a node of a case's view."""
    root = CASES[case][0]
    return {"key": case.split(":")[0], "node": f"{root}/{node}" if root else node, **fields}


def same_values(found, expected, case):
    """The same elements; the readers of Cell Ranger's files turn stored integers into float32."""
    if is_10x(case):
        expected = expected.astype("int32")
    same_array(found, expected)


def is_10x(case):
    """Whether a case is a file of Cell Ranger."""
    return case.split(":")[0].endswith(".h5")


def arrays(data):
    """Every array of an AnnData by its node."""
    nodes = {"X": data.X}
    for group in ("layers", "obsm", "varm", "obsp"):
        nodes |= {f"{group}/{name}": value for name, value in getattr(data, group).items()}
    return nodes


ARRAYS = [(case, node, value) for case, (_, data) in CASES.items() for node, value in arrays(data).items()]
AXES = {"X": "ov", "layers": "ov", "obsm": "o", "varm": "v", "obsp": "oo"}


def test_the_lists_are_not_empty():
    assert len(ARRAYS) >= 40
    assert {node.split("/")[0] for _, node, _ in ARRAYS} == set(AXES)
    assert {type(value).__name__ for _, _, value in ARRAYS} == {"ndarray", "csr_matrix", "csc_matrix"}


@pytest.mark.parametrize(("case", "node", "expected"), ARRAYS, ids=[f"{case}:{node}" for case, node, _ in ARRAYS])
class TestArray:
    def test_whole(self, client, case, node, expected):
        table = client.get(request(case, node))
        assert table.column_names == [node.rsplit("/", 1)[-1]]
        same_values(decode.array(table), expected, case)

    @pytest.mark.parametrize("seed", range(6))
    def test_random_selections(self, client, case, node, expected, seed):
        """Slices, indices with duplicates, masks and integers, on every axis that the node follows."""
        chance, axes = random.Random(f"{case}{node}{seed}"), AXES[node.split("/")[0]]
        (obs, rows), (var, columns) = (selections.axis(chance, length) for length in CASES[case][1].shape)
        spelled = request(case, node, obs=obs, var=var)
        for dimension, axis in enumerate(axes):
            taken = rows if axis == "o" else columns
            expected = expected[taken] if dimension == 0 else expected[:, taken]
        same_values(decode.array(client.get(spelled)), expected, case)


@pytest.mark.parametrize("case", CASES)
class TestFrames:
    def test_whole(self, client, case):
        data = CASES[case][1]
        same_frame(client.get(request(case, "obs")), data.obs)
        same_frame(client.get(request(case, "var")), data.var)

    def test_default_node(self, client, case):
        """The root of a view stands for its observations; a group of counts of its own is listed as stored."""
        root, data = CASES[case]
        found = client.get({"key": case.split(":")[0], "node": root})
        if case.startswith("genomes"):
            assert "path" in found.column_names
        else:
            same_frame(found, data.obs)

    def test_names_and_where(self, client, case):
        """Names of both axes, and an expression over a column of obs."""
        data = CASES[case][1]
        cells, genes = data.obs_names[[7, 2]], data.var_names[[11, 5, 11]]
        found = client.get(request(case, "X", obs={"names": list(cells)}, var={"names": list(genes)}))
        same_values(decode.array(found), data.X[[7, 2]][:, [11, 5, 11]], case)
        column = data.obs.columns[0] if len(data.obs.columns) else None
        index = data.obs.index.name or "_index"
        where, meant = f"\"{index}\" < '{data.obs_names[9]}'", data.obs_names < data.obs_names[9]
        if column is not None and data.obs[column].dtype.kind in "if":
            where, meant = f'{where} AND "{column}" > 0', meant & (data.obs[column] > 0).to_numpy()
        same_frame(client.get(request(case, "obs", obs={"where": where})), data.obs[meant])
        same_values(decode.array(client.get(request(case, "X", obs={"where": where}))), data.X[meant], case)

    def test_limit_offset_and_columns(self, client, case):
        data = CASES[case][1]
        same_frame(client.get(request(case, "var", limit=4, offset=3)), data.var.iloc[3:7])
        for column in data.var.columns:
            found = client.get(request(case, "var", columns=[column])).column(0).to_pylist()
            assert found == data.var[column].tolist()
            assert client.get(request(case, f"var/{column}")).column(0).to_pylist() == found

    @pytest.mark.parametrize("layout", ["auto", "rows", "dense", "wide"])
    def test_layouts(self, client, case, layout):
        """Rows with their names and a column of obs, in every form."""
        data = CASES[case][1]
        genes = [3, 30, 17] if data.n_vars > 30 else [3, 10, 7]
        names = list(data.obs.columns[:1])
        fields = {"obs": span(None, None, -7), "var": {"index": genes}, "limit": 9, "offset": 2}
        spelled = request(case, "X", layout=layout, with_index=True, with_obs=names, **fields)
        table, expected = client.get(spelled), data[::-7][2:11][:, genes]
        assert table.column(0).to_pylist() == list(expected.obs_names)
        for position, name in enumerate(names):
            assert table.column(1 + position).to_pylist() == expected.obs[name].tolist()
        if layout == "wide":
            assert table.column_names[-3:] == list(expected.var_names)
            found = numpy.stack([table.column(name).to_numpy() for name in expected.var_names], axis=1)
        else:
            found = decode.array(table)
        same_values(decode.dense(found), decode.dense(expected.X), case)


@pytest.mark.parametrize("case", [case for case in CASES if case not in LOOM and case != "mudata.h5mu:prot" and case != "mudata.zarr:prot"])
def test_coordinates(client, case):
    """Sparse matrices have the layout `coo`."""
    data = CASES[case][1]
    rows, columns = [5, 9, 9, 0], [4, 1, 16]
    fields = {"obs": {"index": rows}, "var": {"index": columns}, "layout": "coo"}
    expected = narrowed(data.X, rows, columns)
    same_coordinates(client.get(request(case, "X", **fields)), expected.astype("int32") if is_10x(case) else expected)


class TestLoom:
    def test_stored_paths(self, client):
        """What is stored keeps its meaning, and selectors its axes."""
        data = CASES["written.loom"][1]
        same_array(decode.array(client.get(("written.loom", "matrix"))), data.X.T)
        fields = {"obs": {"index": [3, 1]}, "var": span(None, None, 9)}
        found = client.get({"key": "written.loom", "node": "matrix", **fields})
        same_array(decode.array(found), data.X.T[::9][:, [3, 1]])
        assert client.get(("written.loom", "row_attrs/Gene")).column(0).to_pylist() == list(data.var_names)
        found = client.get({"key": "written.loom", "node": "col_attrs/Age", "obs": {"index": [4]}})
        same_array(decode.array(found), data.obs["Age"].to_numpy()[[4]])
        assert client.get(("written.loom", "col_graphs/KNN/w")).num_rows > 100

    def test_graphs_are_refused_by_name(self, client):
        with pytest.raises(NotImplementedError, match="obsp/KNN.*edges.*col_graphs/KNN/a"):
            client.get(("written.loom", "obsp/KNN"))

    @pytest.mark.parametrize("node", ["layers/none", "obs/none", "obsm/Age", "varm/none", "obsp/none", "uns/none", "raw/X"])
    def test_what_is_missing_is_not_found(self, client, node):
        with pytest.raises(KeyError, match=node.split("/")[-1]):
            client.get(("written.loom", node))

    def test_axes_and_squeeze(self, client):
        data = CASES["written.loom"][1]
        found = client.get({"key": "written.loom", "node": "X", "slice": "::-2, 3:40:5"})
        same_array(decode.array(found), data.X[::-2, 3:40:5])
        found = client.get({"key": "written.loom", "node": "X", "slice": "2:9, 4", "squeeze": True})
        same_array(decode.array(found), data.X[2:9, 4])
        with pytest.raises(NotImplementedError, match="squeeze of 'X'"):
            client.get({"key": "written.loom", "node": "X", "slice": "2, 4:9", "squeeze": True})

    def test_coordinates_are_refused(self, client):
        with pytest.raises(NotImplementedError, match="(?i)coo.*'X'"):
            client.get({"key": "written.loom", "node": "X", "layout": "coo"})

    def test_only_the_chunks_of_the_selection_are_read(self, client):
        """Chunks of 64 × 64: ten cells of one column of chunks, over all genes, are two chunks of 150 × 90's six."""
        plan = client.action("explain", {"key": "written.loom", "node": "X", "obs": span(70, 80)})
        assert plan["chunks"] == 2 and {entry["array"] for entry in plan["ranges"]} == {"matrix"}
        plan = client.action("explain", {"key": "written.loom", "node": "X", "obs": span(70, 80), "var": {"index": [80]}})
        assert plan["chunks"] == 1
        assert client.action("explain", {"key": "written.loom", "node": "X"})["chunks"] == 6


@pytest.fixture(scope="module", params=["chunks", "one piece"])
def large(request, notebook, tmp_path_factory):
    """A Loom file whose matrix takes more than twenty windows of a narrow server, that server, and X."""
    key = f"large-{request.param.replace(' ', '-')}.loom"
    path = tmp_path_factory.mktemp("large") / key
    matrix = large_loom(path, chunks=(64, 64) if request.param == "chunks" else None)
    notebook.register(key, source=path)
    client = Client(notebook.serve(settings=NARROW).uri)
    yield client, key, matrix.T
    client.close()


class TestManyWindows:
    """A matrix larger than the windows of a stream, in chunks and in one piece."""

    def test_whole(self, large):
        client, key, expected = large
        assert client.action("explain", {"key": key, "node": "X"})["windows"] > 20
        same_array(decode.array(client.get({"key": key, "node": "X"})), expected)

    @pytest.mark.parametrize("seed", range(8))
    def test_random_selections(self, large, seed):
        client, key, expected = large
        chance = random.Random(seed)
        (obs, rows), (var, columns) = (selections.axis(chance, length) for length in expected.shape)
        found = client.get({"key": key, "node": "X", "obs": obs, "var": var, "layout": chance.choice(["rows", "dense"])})
        same_array(decode.array(found), expected[rows][:, columns])

    def test_reversed_cells_of_a_few_genes(self, large):
        client, key, expected = large
        fields = {"obs": span(None, None, -1), "var": {"index": [699, 0, 0]}, "limit": 1500, "offset": 7}
        found = client.get({"key": key, "node": "X", **fields})
        same_array(decode.array(found), expected[::-1][7:1507][:, [699, 0, 0]])


MIB = 1 << 20
TIGHT = """
[limits]
memory_budget = "32 MiB"
stream_memory = "16 MiB"
block_cache_bytes = "1 MiB"
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunks", [(64, 64), None], ids=["chunks", "one piece"])
def test_peak_memory_stays_inside_the_budget(notebook, tmp_path, chunks):
    """All cells of a matrix of 160 MiB in chunks; three cells of one in one piece, all of which is read for them."""
    key, genes, cells = "memory.loom", 2000, 20_000
    matrix = large_loom(tmp_path / key, genes, cells, chunks=chunks)
    notebook.register(key, source=tmp_path / key)
    server = notebook.serve(settings=TIGHT)
    client = Client(server.uri, seconds=280)
    client.direct({"key": key, "node": "X", "obs": span(0, 3), "var": span(0, 3)})
    before, seen = server.peak_memory(), 0
    taken = matrix.T if chunks else matrix.T[[5, 19_000, 3]]
    for chunk in client.reader({"key": key, "node": "X", "obs": {"all": True} if chunks else {"index": [5, 19_000, 3]}}):
        rows = decode.elements(chunk.data.column(0))
        numpy.testing.assert_array_equal(rows, taken[seen : seen + len(rows)])
        seen += len(rows)
    assert seen == len(taken)
    grown = server.peak_memory() - before
    assert grown <= (32 + 64) * MIB, f"grew by {grown / MIB:.0f} MiB"
    client.close()
    server.stop()
    (notebook.bucket / key).unlink()


class TestCellRanger:
    def test_a_name_that_stands_twice(self, client):
        var = CASES["cellranger3.h5"][1].var
        twice = var.index[var.index.duplicated()][0]
        with pytest.raises(ValueError, match=f'"{twice}" is not unique'):
            client.get({"key": "cellranger3.h5", "node": "X", "var": {"names": [twice]}})
        found = client.get({"key": "cellranger3.h5", "node": "X", "var": {"where": f"_index = '{twice}'"}})
        same_array(decode.array(found), CASES["cellranger3.h5"][1].X[:, [3, 80]].astype("int32"))

    def test_stored_paths(self, client):
        data = CASES["cellranger3.h5"][1]
        for node, expected in (("matrix/barcodes", data.obs_names), ("matrix/features/id", data.var["gene_ids"])):
            assert client.get(("cellranger3.h5", node)).column(0).to_pylist() == list(expected)
        found = client.get({"key": "cellranger3.h5", "node": "matrix/barcodes", "obs": {"index": [5, 5]}})
        assert found.column(0).to_pylist() == [data.obs_names[5]] * 2
        assert client.get(("cellranger3.h5", "matrix")).column_names[0] == "path"

    def test_several_genomes_have_no_view_at_the_root(self, client):
        with pytest.raises(KeyError, match="no node 'X'.*hg19, mm10"):
            client.get(("genomes.h5", "X"))
        listed = client.get({"key": "genomes.h5"}).column("path").to_pylist()
        assert "hg19/gene_names" in listed

    def test_a_type_of_feature(self, client):
        data = CASES["cellranger3.h5"][1]
        found = client.get({"key": "cellranger3.h5", "node": "X", "var": {"where": "feature_types = 'Antibody Capture'"}})
        same_array(decode.array(found), data.X[:, 70:].astype("int32"))


@pytest.mark.parametrize("key", ["mudata.h5mu", "mudata.zarr", "old.h5mu"])
class TestMuData:
    def test_root(self, client, key):
        """What the modalities share: tables, and matrices along the axis of all cells."""
        same_frame(client.get({"key": key}), MUDATA["obs"])
        same_frame(client.get((key, "var")), MUDATA["var"])
        picked = {"obs": {"index": [120, 3, 3]}}
        for node in ("obsm/rna", "obsm/prot", "obsm/X_joint", "obsmap/rna", "obsmap/prot"):
            group, name = node.split("/")
            same_array(decode.array(client.get((key, node))), MUDATA[group][name])
            same_array(decode.array(client.get({"key": key, "node": node, **picked})), MUDATA[group][name][[120, 3, 3]])
        found = client.get({"key": key, "node": "varmap/prot", "var": span(55, 70)})
        same_array(decode.array(found), MUDATA["varmap"]["prot"][55:70])
        assert decode.scalar(client.get((key, "uns/method"))) == {"name": "mofa"}

    def test_each_modality_has_its_own_axes(self, client, key):
        """A name is looked up among the cells of the modality that is asked for."""
        only = [name for name in MUDATA["mod/prot"].obs_names if name not in MUDATA["mod/rna"].obs_names][0]
        found = client.get({"key": key, "node": "mod/prot/X", "obs": {"names": [only]}})
        same_array(decode.array(found), MUDATA["mod/prot"][[only]].X)
        with pytest.raises(KeyError, match=only):
            client.get({"key": key, "node": "mod/rna/X", "obs": {"names": [only]}})
        with pytest.raises(KeyError, match="no node 'X'.*mod"):
            client.get((key, "X"))
        with pytest.raises(KeyError, match="no node 'mod/none/X'"):
            client.get((key, "mod/none/X"))

    def test_uns_of_a_modality(self, client, key):
        found = decode.scalar(client.get((key, "mod/rna/uns/pca")))
        assert found == {"variance": [0.0, 1.0, 2.0]}


@pytest.mark.parametrize("key", ["spatialdata2.zarr", "spatialdata3.zarr"])
class TestSpatialData:
    def test_images_and_labels(self, client, images, key):
        assert len(images) == 5
        for node, expected in images.items():
            same_array(decode.array(client.get((key, node))), expected)
        found = client.get({"key": key, "node": "images/slide/0", "slice": "1:3, ::7, 3"})
        same_array(decode.array(found), images["images/slide/0"][1:3, ::7, 3:4])
        with pytest.raises(ValueError, match="obs and var select on AnnData"):
            client.get({"key": key, "node": "images/slide/0", "obs": {"index": [1]}})

    @pytest.mark.parametrize("node", ["points/circles", "points/circles/points.parquet", "shapes/circles"])
    def test_parquet_is_refused_by_name(self, client, key, node):
        kind = node.split("/")[0]
        with pytest.raises(NotImplementedError, match=f"'{kind}/circles'.*register '{kind}/circles/{kind}.parquet'"):
            client.get((key, node))

    @pytest.mark.parametrize("part", ["points/circles/points.parquet", "shapes/circles/shapes.parquet"])
    def test_the_parquet_inside_is_an_artifact_of_its_own(self, notebook, client, key, part):
        notebook.register(f"{key}/{part}")
        assert client.get({"key": f"{key}/{part}"}).column("y").to_pylist() == [0.0, 2.0, 4.0, 6.0, 8.0]

    def test_the_root_is_a_listing(self, client, key):
        assert "tables/counts/obs" in client.get({"key": key}).column("path").to_pylist()


class TestDescribe:
    def test_views_at_the_root(self, client):
        for key, view in (("written.loom", "loom"), ("cellranger3.h5", "10x"), ("cellranger2.h5", "10x")):
            summary, data = client.action("describe", {"key": key}), CASES[key][1]
            assert (summary["kind"], summary["view"]) == ("anndata", view)
            assert summary["shape"] == list(data.shape) == summary["X"]["shape"]
            index = data.obs.index.name or "_index"
            assert summary["attributes"]["obs"] == sorted([*data.obs.columns, index])
            for group in ("layers", "obsm", "varm"):
                assert summary["attributes"].get(group, []) == sorted(getattr(data, group))
            assert summary["artifact"]["n_observations"] == data.n_obs

    def test_views_below_the_root(self, client):
        for case in ("genomes.h5:mm10", "mudata.h5mu:rna", "mudata.zarr:prot", "old.h5mu:rna", "spatialdata2.zarr", "spatialdata3.zarr"):
            (root, data), key = CASES[case], case.split(":")[0]
            summary = client.action("describe", {"key": key})
            assert summary["views"][root]["shape"] == list(data.shape)
            assert summary["view"] == {"g": "10x", "m": "mudata", "o": "mudata", "s": "spatialdata"}[case[0]]

    def test_a_plain_anndata_is_as_before(self, client):
        assert not {"view", "views"} & set(client.action("describe", {"key": PBMC}))

    def test_inspect(self, notebook, images):
        shown = notebook.command("inspect", "mudata.h5mu").stdout
        assert "MuData object with n_obs × n_vars = 150 × 72" in shown and "mod/rna: AnnData object with n_obs × n_vars = 120 × 60" in shown
        assert "AnnData object with n_obs × n_vars = 150 × 90 (stored as loom)" in notebook.command("inspect", "written.loom").stdout
