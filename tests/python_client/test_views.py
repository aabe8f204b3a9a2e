"""Files of other pipelines through the client: Loom, Cell Ranger, MuData and SpatialData as AnnData."""

import anndata
import numpy
import pandas
import pytest

import sliceflight as sf
import stack
from views import elements, mudata_zarr, spatialdata_zarr

from .same import same, same_anndata

VIEWS = stack.FIXTURES / "views"
MUDATA = elements(VIEWS / "mudata.h5mu")
ROOTS = {name: anndata.read_h5ad(VIEWS / f"{name}.h5ad") for name in ("written.loom", "plain.loom", "cellranger3.h5")}


@pytest.fixture(scope="module")
def views_ln(notebook, tmp_path_factory):
    """A session on a server that has the files of the other pipelines."""
    folder = tmp_path_factory.mktemp("views")
    mudata_zarr(folder / "mudata.zarr", VIEWS / "mudata.h5mu")
    spatialdata_zarr(folder / "spatialdata.zarr", MUDATA["mod/rna"], 3)
    for name in (*ROOTS, "mudata.h5mu"):
        notebook.register(name, source=VIEWS / name)
    for name in ("mudata.zarr", "spatialdata.zarr"):
        notebook.register(name, source=folder / name)
    with sf.connect(notebook.serve().uri, timeout=60) as session:
        yield session


@pytest.mark.parametrize("name", ROOTS)
def test_a_file_that_is_one_anndata(views_ln, name):
    adata, expected = views_ln.Artifact.get(key=name).open(), ROOTS[name]
    assert adata.shape == expected.shape
    assert list(adata.obs_names) == list(expected.obs_names)
    x = adata.X[::-2, :3]
    wanted = expected.X[::-2, :3]
    if name.endswith(".h5"):  # scanpy makes floats of Cell Ranger's integers
        wanted = wanted.astype("int32")
    same(x, wanted)
    same(adata[[4, 0], 2:5].X.shape, (2, 3))
    for layer, value in expected.layers.items():
        same(adata[3:7].layers[layer], value[3:7])


@pytest.mark.parametrize("name", ["mudata.h5mu", "mudata.zarr"])
def test_modalities(views_ln, name):
    backed = views_ln.Artifact.get(key=name).open()
    assert sorted(backed.tables) == ["prot", "rna"]
    for modality, adata in backed.tables.items():
        expected = MUDATA[f"mod/{modality}"]
        assert adata.shape == expected.shape
        same_anndata(adata.to_memory(), expected)
        same_anndata(adata[[3, 1], ::2].to_memory(), expected[[3, 1]].copy()[:, ::2].copy())
    assert "mod" in backed and list(backed["mod"]) == ["prot", "rna"]


def test_a_table_of_spatialdata(views_ln):
    backed = views_ln.Artifact.get(key="spatialdata.zarr").open()
    table, expected = backed.tables["counts"], MUDATA["mod/rna"]
    same_anndata(table[:5].to_memory(), expected[:5].copy())
    column = next(name for name in expected.obs if pandas.api.types.is_numeric_dtype(expected.obs[name]))
    limit = float(numpy.median(expected.obs[column]))
    assert table[table.col(column) > limit].n_obs == int((expected.obs[column] > limit).sum())
    assert backed["images/slide/0"][:, 3:9:2, -1].shape == (3, 3)
