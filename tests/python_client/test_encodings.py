"""AnnData with every encoding that anndata writes, element by element against anndata in memory."""

import anndata
import awkward
import numpy
import pandas
import pytest
import scipy.sparse

import sliceflight as sf

from .same import same, same_anndata


def everything(count=25, width=9):
    """An AnnData whose elements are of every kind."""
    generator = numpy.random.default_rng(8)
    names = [f"c{number}" for number in range(count)]
    ragged = awkward.Array([list(range(number % 4)) for number in range(count)])
    data = anndata.AnnData(
        generator.random((count, width)).astype("float32"),
        obs=pandas.DataFrame({"n": numpy.arange(count), "b": numpy.arange(count) % 2 == 0}, index=names),
        var=pandas.DataFrame(
            {"kind": pandas.Categorical(["x", "y", "z"] * (width // 3))}, index=[f"g{n}" for n in range(width)]
        ),
    )
    data.obs["text"] = pandas.array(["a", None] * (count // 2) + ["b"], dtype="string")
    data.obsm["ragged"] = ragged
    data.obsm["deep"] = generator.random((count, 3, 2))
    data.obsm["sparse"] = scipy.sparse.random(count, 6, density=0.3, format="csc", rng=generator)
    data.obsm["frame"] = pandas.DataFrame(
        {"a": numpy.arange(count), "k": pandas.Categorical(["p"] * count)}, index=names
    )
    data.varm["loadings"] = generator.random((width, 2))
    data.varp["pairs"] = scipy.sparse.random(width, width, density=0.5, format="csr", rng=generator)
    data.obsp["dense"] = generator.random((count, count))
    data.layers["integers"] = generator.integers(0, 9, (count, width)).astype("uint8")
    data.uns = {
        "numbers": {"integer": 3, "float": 2.5, "flag": False, "array": numpy.arange(6).reshape(2, 3)},
        "texts": {"one": "word", "many": numpy.array(["a", "längere"], dtype=object), "empty": ""},
        "frame": pandas.DataFrame({"x": [1.5, numpy.nan], "y": ["u", "v"]}, index=["r", "s"]),
        "categories": pandas.Categorical(["lo", None, "hi"], categories=["lo", "mid", "hi"], ordered=True),
        "nullable": pandas.array([1, None, 3], dtype="Int32"),
        "flags": pandas.array([True, None], dtype="boolean"),
        "records": numpy.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "matrix": scipy.sparse.random(7, 5, density=0.4, format="csr", rng=generator),
        "ragged": awkward.Array([[1.5], [], [2.5, 3.5]]),
        "nothing": {},
    }
    return data


@pytest.fixture(scope="module")
def files(notebook, tmp_path_factory):
    """The files registered, and what anndata reads of each; a session."""
    folder = tmp_path_factory.mktemp("encodings")
    made = {"everything": everything(), "no_x": anndata.AnnData(obs=everything().obs, var=everything().var)}
    made["no_obs"], made["no_vars"] = everything()[:0].copy(), everything()[:, :0].copy()
    memory = {}
    with anndata.settings.override(allow_write_nullable_strings=True):
        for name, data in made.items():
            data.write_h5ad(folder / f"{name}.h5ad", convert_strings_to_categoricals=False)
            memory[f"{name}.h5ad"] = anndata.read_h5ad(folder / f"{name}.h5ad")
            data.write_zarr(folder / f"{name}.zarr", convert_strings_to_categoricals=False)
            memory[f"{name}.zarr"] = anndata.read_zarr(folder / f"{name}.zarr")
    for name in memory:
        notebook.register(name, source=folder / name)
    with sf.connect(notebook.serve().uri, timeout=60) as session:
        yield session, memory


NAMES = [f"{name}.{suffix}" for name in ("everything", "no_x", "no_obs", "no_vars") for suffix in ("h5ad", "zarr")]


@pytest.mark.parametrize("name", NAMES)
def test_whole(files, name):
    ln, memory = files
    same_anndata(ln.Artifact.get(key=name).open().to_memory(), memory[name])


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("no_obs")])
def test_subsets(files, name):
    ln, memory = files
    adata, expected = ln.Artifact.get(key=name).open(), memory[name]
    same_anndata(adata[[7, 3, 3]].to_memory(), expected[[7, 3, 3]].copy())
    same_anndata(adata[::-2, ::3].to_memory(), expected[::-2].copy()[:, ::3].copy())
    same_anndata(adata[adata.col("n") >= 20].to_memory(), expected[expected.obs.n >= 20].copy())
    same_anndata(adata[[]].to_memory(), expected[[]].copy())


@pytest.mark.parametrize("name", NAMES[:2])
def test_elements_of_the_whole(files, name):
    ln, memory = files
    adata, expected = ln.Artifact.get(key=name).open(), memory[name]
    same(adata.obsm["deep"][3:9, ::-1, 0], expected.obsm["deep"][3:9, ::-1, 0])
    same(adata.obsm["sparse"][[4, 1], 2:5], expected.obsm["sparse"][[4, 1], 2:5])
    same(adata.obsm["frame"], expected.obsm["frame"])
    same(adata.obsm["ragged"], expected.obsm["ragged"])
