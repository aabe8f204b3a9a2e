"""The AnnData accessor against anndata in memory, and against LaminDB's accessor where that is installed.

Every row of the table of index semantics is here, those at which LaminDB's accessor fails included.
"""

import anndata
import hypothesis
import numpy
import pandas
import pytest
import scipy.sparse
from hypothesis import strategies

import sliceflight as sf
import stack
from expect import read_anndata

from .same import same, same_anndata

FILES = ["variants/variants.h5ad", "variants/variants_v2.zarr", "variants/variants_v3.zarr", "variants/csc.h5ad"]
DENSE = "lndb-storage/pbmc68k.h5ad"
EVERY = [DENSE, *FILES]


@pytest.fixture(scope="module", autouse=True)
def whole_categories():
    """A view in memory keeps all categories, as accessors do."""
    before = anndata.settings.remove_unused_categories
    anndata.settings.remove_unused_categories = False
    yield
    anndata.settings.remove_unused_categories = before


@pytest.fixture(scope="module")
def memory():
    """The files in memory, read by anndata."""
    return {key: read_anndata(stack.NOTEBOOK / key.rpartition("/")[2]) for key in EVERY}


@pytest.fixture(scope="module")
def opened(ln_all):
    """The accessors of the files."""
    return {key: ln_all.Artifact.get(key=key).open() for key in EVERY}


def rows(names):
    """The table of index semantics, for an axis with these names."""
    mask = [place % 3 == 0 for place in range(len(names))]
    return {
        "bool list": mask,
        "bool ndarray": numpy.array(mask),
        "bool Series": pandas.Series(mask, index=names),
        "bool Series in another order of labels": pandas.Series(mask, index=names[::-1]),
        "nullable bool Series": pandas.Series(mask, index=names, dtype="boolean"),
        "slice": slice(2, 7),
        "slice with a step": slice(1, 40, 7),
        "slice with a negative step": slice(30, 3, -4),
        "everything backwards": slice(None, None, -1),
        "slice from the end": slice(-9, -2),
        "slice beyond the end": slice(60, 10_000),
        "int list": [1, 5, 9],
        "unsorted int list": [9, 1, 5],
        "int list with duplicates": [5, 5, 1, 5],
        "negative ints": [-1, 3, -5],
        "int ndarray": numpy.array([7, 3], dtype="uint16"),
        "names": [names[4], names[1]],
        "names as Index": names[[8, 2, 5]],
        "names as ndarray": numpy.array([names[3], names[0]]),
        "slice of names": slice(names[3], names[9]),
        "slice of names with a step": slice(names[3], names[19], 4),
        "ellipsis": ...,
        "empty list": [],
        "empty mask": [False] * len(names),
        "int": 3,
        "negative int": -2,
        "numpy int": numpy.int32(6),
        "one name": names[11],
    }


class TestTable:
    """The table of index semantics."""

    @pytest.mark.parametrize("key", EVERY)
    @pytest.mark.parametrize("row", rows(pandas.Index([str(n) for n in range(70)])))
    def test_observations(self, opened, memory, key, row):
        index = rows(memory[key].obs_names)[row]
        found, expected = opened[key][index], memory[key][plain(index)].copy()
        assert found.shape == expected.shape
        same(found.X, expected.X)
        pandas.testing.assert_frame_equal(found.obs, expected.obs)
        assert list(found.var_names) == list(expected.var_names)

    @pytest.mark.parametrize("key", [DENSE, FILES[0]])
    @pytest.mark.parametrize(
        "row", ["bool Series", "everything backwards", "int list with duplicates", "empty list", "int"]
    )
    def test_to_memory(self, opened, memory, key, row):
        index = rows(memory[key].obs_names)[row]
        same_anndata(opened[key][index].to_memory(), memory[key][plain(index)].copy())

    @pytest.mark.parametrize("key", [DENSE, FILES[0]])
    @pytest.mark.parametrize("row", rows(pandas.Index([str(n) for n in range(70)])))
    def test_variables(self, opened, memory, key, row):
        index = rows(memory[key].var_names)[row]
        found, expected = opened[key][:, index], memory[key][:, plain(index)].copy()
        same(found.X, expected.X)
        pandas.testing.assert_frame_equal(found.var, expected.var)

    @pytest.mark.parametrize("key", EVERY)
    def test_shape_and_names_of_a_single_position(self, opened, memory, key):
        one = opened[key][3]
        assert one.shape == (1, memory[key].n_vars)
        assert list(one.obs_names) == [memory[key].obs_names[3]]
        assert one.X.shape == (1, memory[key].n_vars)

    @pytest.mark.parametrize("key", EVERY)
    def test_lists_on_both_axes(self, opened, memory, key):
        index = [5, 5, 1], [3, 1]
        same(opened[key][index].X, dense_or_sparse(memory[key].X[numpy.ix_(*index)], memory[key].X))
        masks = numpy.arange(memory[key].n_obs) % 2 == 0, numpy.arange(memory[key].n_vars) < 9
        same_anndata(opened[key][masks].to_memory(), memory[key][masks].copy())

    @pytest.mark.parametrize("key", EVERY)
    def test_nullable_columns_of_a_subset(self, opened, memory, key):
        pandas.testing.assert_frame_equal(opened[key][[7, 2]].obs, memory[key].obs.iloc[[7, 2]])

    @pytest.mark.parametrize("key", EVERY)
    def test_a_missing_name(self, ln_all, key):
        fresh = ln_all.Artifact.get(key=key).open()
        for _ in range(2):  # before the names were read the server knows, after it the client
            with pytest.raises(KeyError, match="nope"):
                fresh["nope"]
            with pytest.raises(KeyError, match="nope"):
                fresh[:, [fresh.var_names[0], "nope"]]
            with pytest.raises(KeyError):
                fresh["nope":]
            len(fresh.obs_names)

    @pytest.mark.parametrize("index", [70, -71, [0, 70], numpy.array([-71])])
    def test_a_position_out_of_bounds(self, opened, index):
        with pytest.raises(IndexError, match="70"):
            opened[DENSE][index]

    def test_a_mask_of_another_length(self, opened):
        with pytest.raises(IndexError, match="69"):
            opened[DENSE][numpy.ones(69, dtype=bool)]

    def test_three_indices(self, opened):
        with pytest.raises(IndexError, match="length 3"):
            opened[DENSE][1, 2, 3]
        with pytest.raises(IndexError, match="ellipsis"):
            opened[DENSE][..., ...]

    @pytest.mark.parametrize("index", [(..., slice(5)), (slice(5), ...), (slice(2), ..., slice(3)), ...])
    def test_an_ellipsis(self, opened, memory, index):
        same_anndata(opened[DENSE][index].to_memory(), memory[DENSE][index].copy())

    @pytest.mark.parametrize("index", [1.5, [1.5], object(), [[1, 2], [3, 4]], [True, "a"]])
    def test_what_is_no_index(self, opened, index):
        with pytest.raises((LookupError, TypeError, ValueError)):
            opened[DENSE][index]


def plain(index):
    """`index` without what anndata takes otherwise: labels of a boolean Series, nullable booleans."""
    return numpy.asarray(index, dtype=bool) if isinstance(index, pandas.Series) else index


def dense_or_sparse(values, like):
    return type(like)(values) if scipy.sparse.issparse(like) else values


class TestComposition:
    """Subsets of subsets."""

    @pytest.mark.parametrize("key", EVERY)
    def test_two_steps(self, opened, memory, key):
        found = opened[key][10:60:2, ::-3][[4, 1, 1], 5:50]
        expected = memory[key][10:60:2].copy()[:, ::-3].copy()[[4, 1, 1]].copy()[:, 5:50].copy()
        same_anndata(found.to_memory(), expected)

    def test_names_within_a_subset(self, ln_all, memory):
        adata, whole = ln_all.Artifact.get(key=DENSE).open(), memory[DENSE]
        assert adata[:10][whole.obs_names[3]].shape == (1, 765)
        with pytest.raises(KeyError):
            adata[:10][whole.obs_names[11]]
        adata.obs_names  # noqa: B018  # reads the names: now the client decides
        with pytest.raises(KeyError):
            adata[:10][whole.obs_names[11]]

    def test_everything_after_a_condition(self, ln_all, memory):
        adata, whole = ln_all.Artifact.get(key=DENSE).open(), memory[DENSE]
        chosen = adata[adata.col("n_genes") > 1200]
        expected = whole[whole.obs.n_genes > 1200].copy()
        same_anndata(chosen[::-1].to_memory(), expected[::-1].copy())
        same_anndata(chosen[[2, 0, -1], 3:9].to_memory(), expected[[2, 0, -1], 3:9].copy())
        mask = numpy.arange(len(expected)) % 2 == 1
        same_anndata(chosen[mask].to_memory(), expected[mask].copy())
        assert chosen[expected.obs_names[1]].obs_names[0] == expected.obs_names[1]
        same_anndata(chosen[adata.col("louvain") == "1"].to_memory(), expected[expected.obs.louvain == "1"].copy())
        with pytest.raises(IndexError, match=str(len(expected))):
            chosen[len(expected)]

    @hypothesis.settings(max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(data=strategies.data())
    def test_random_indices(self, opened, memory, data):
        key = data.draw(strategies.sampled_from(EVERY))
        found, expected = opened[key], memory[key]
        for _ in range(data.draw(strategies.integers(1, 3))):
            index = tuple(data.draw(an_index(length)) for length in expected.shape)
            # one axis after the other: scipy 1.17 fails at a list of rows with a step of columns of a CSC
            found, expected = found[index], expected[index[0]].copy()[:, index[1]].copy()
        assert found.shape == expected.shape
        assert list(found.obs_names) == list(expected.obs_names)
        same(found.X, expected.X)
        pandas.testing.assert_frame_equal(found.obs, expected.obs)


@strategies.composite
def an_index(draw, length):
    """Any index of an axis."""
    ends = strategies.none() | strategies.integers(-length - 3, length + 3)
    steps = strategies.none() | strategies.integers(-5, 5).filter(bool)
    places = strategies.lists(strategies.integers(-length, length - 1), max_size=12) if length else strategies.just([])
    masks = strategies.integers(0, 2**31).map(lambda seed: numpy.random.default_rng(seed).random(length) < 0.4)
    return draw(strategies.builds(slice, ends, ends, steps) | places | masks | strategies.just(slice(None)))


class TestElements:
    """What each attribute gives, whole and of a subset."""

    @pytest.mark.parametrize("key", EVERY)
    def test_everything(self, opened, memory, key):
        same_anndata(opened[key].to_memory(), memory[key])

    @pytest.mark.parametrize("key", EVERY)
    def test_load_and_context(self, ln_all, memory, key):
        same_anndata(ln_all.Artifact.get(key=key).load(), memory[key])
        with ln_all.Artifact.get(key=key).open() as adata:
            assert adata.shape == memory[key].shape == (adata.n_obs, adata.n_vars)

    @pytest.mark.parametrize("key", EVERY)
    def test_lazy_matrices_read_when_they_are_indexed(self, opened, memory, key):
        x, expected = opened[key].X, memory[key].X
        assert (x.shape, x.dtype) == (expected.shape, expected.dtype)
        for index in [slice(3, 9), [5, 2], (slice(None), [7, 1]), (slice(60, 50, -1), slice(0, 9, 2))]:
            same(x[index], expected[index])
        same(x.to_memory(), expected)

    @pytest.mark.parametrize("key", EVERY)
    def test_each_element(self, opened, memory, key):
        subset, expected = opened[key][[8, 3, 3], ::2], memory[key][[8, 3, 3]].copy()[:, ::2].copy()
        for part in ("layers", "obsm", "varm", "obsp", "varp"):
            assert sorted(getattr(subset, part)) == sorted(getattr(expected, part))
            for name, value in getattr(expected, part).items():
                same(getattr(subset, part)[name], value)
        with pytest.raises(KeyError, match="nope"):
            subset.obsm["nope"]

    @pytest.mark.parametrize("key", FILES[:3])
    def test_raw(self, opened, memory, key):
        whole, expected = opened[key].raw, memory[key].raw
        assert whole.shape == expected.shape
        same(whole.X.to_memory(), expected.X)
        same(opened[key][[4, 2], :5].raw.X, expected.X[[4, 2]])
        pandas.testing.assert_frame_equal(whole.var, expected.var)

    def test_no_raw(self, opened):
        assert opened[DENSE].raw is None
        assert opened[DENSE].layers == {}

    def test_arrays_may_be_changed_in_place(self, opened):
        for value in (opened[DENSE][:3].X, opened[FILES[0]][:3].X.data, opened[FILES[0]].X.to_memory().indices):
            value[...] = 1
            assert (value == 1).all()


class TestConditions:
    """Conditions on columns, evaluated by the server."""

    @pytest.mark.parametrize("key", EVERY)
    def test_as_in_memory(self, opened, memory, key):
        adata, obs = opened[key], memory[key].obs
        cells = ["Dendritic cells", "CD14+ Monocytes"]
        same_anndata(
            adata[adata.col("cell_type").isin(cells)].to_memory(), memory[key][obs.cell_type.isin(cells)].copy()
        )

    def test_rows_and_names(self, opened, memory):
        adata, whole = opened[DENSE], memory[DENSE]
        names = list(whole.var_names[[40, 3]])
        found = adata[adata.col("percent_mito") <= 0.02, names]
        same_anndata(found.to_memory(), whole[whole.obs.percent_mito <= 0.02, names].copy())

    def test_on_variables(self, opened, memory):
        adata, whole = opened[DENSE], memory[DENSE]
        same_anndata(adata[:9, adata.col("n_counts") > 200].to_memory(), whole[:9, whole.var.n_counts > 200].copy())

    def test_nulls_match_only_is_null(self, opened, memory):
        adata, obs = opened[FILES[0]], memory[FILES[0]].obs
        assert len(adata[adata.col("ni").is_null()]) == obs.ni.isna().sum()
        assert len(adata[adata.col("ns").isin(["a", None])]) == len(obs)
        assert len(adata[adata.col("ni") != 1]) == 0
        assert len(adata[~adata.col("nb").is_valid() | (adata.col("txt") == "s4")]) == obs.nb.isna().sum() + 1

    def test_the_filter_runs_on_the_server(self, ln_all):
        adata = ln_all.Artifact.get(key=DENSE).open()
        chosen = adata[adata.col("percent_mito") <= 0.01]
        assert chosen._obs.selectors() == [{"where": '"percent_mito" <= 0.01'}]
        assert chosen.X.shape[0] == chosen.n_obs
        assert "obs" not in adata._cache, "no column of obs came to the client"

    def test_an_unknown_column(self, opened):
        adata = opened[DENSE]
        with pytest.raises(sf.errors.NotFound, match="nope"):
            adata[adata.col("nope") == 1].X  # noqa: B018

    def test_a_column_alone(self, opened):
        with pytest.raises(TypeError, match="compare"):
            opened[DENSE][opened[DENSE].col("n_genes")]


class TestPrinted:
    """The printed forms, as LaminDB 2.12 prints them."""

    def test_accessor(self, opened):
        assert repr(opened[FILES[0]]) == (
            "AnnDataAccessor object with n_obs × n_vars = 200 × 765\n"
            "  constructed for the AnnData object variants.h5ad\n"
            "    layers: ['csc']\n"
            "    obs: ['boo', 'cell_type', 'index', 'louvain', 'n_genes', 'nb', 'ni', 'ns', 'percent_mito', 'txt']\n"
            "    obsm: ['X_pca', 'X_umap']\n"
            "    obsp: ['connectivities', 'distances']\n"
            "    raw: ['X', 'var', 'varm']\n"
            "    uns: ['louvain', 'louvain_colors', 'neighbors', 'pca']\n"
            "    var: ['highly_variable', 'index', 'n_counts']\n"
            "    varm: ['PCs']"
        )

    def test_elements(self, opened):
        assert repr(opened[FILES[0]].X) == "CSRDataset: backend hdf5, shape (200, 765), data_dtype float32"
        assert repr(opened[FILES[2]].X) == "CSRDataset: backend zarr, shape (200, 765), data_dtype float32"
        assert repr(opened[FILES[3]].X) == "CSCDataset: backend hdf5, shape (200, 765), data_dtype float32"
        layer = opened[FILES[0]].layers["csc"]
        assert repr(layer) == "CSCDataset: backend hdf5, shape (200, 765), data_dtype float32"
        assert repr(opened[DENSE].obsm["X_pca"]) == '<HDF5 dataset "X_pca": shape (70, 50), type "<f4">'
        obsm = "Accessor for the AnnData attribute obsm\n  with keys: ['X_pca', 'X_umap']"
        assert repr(opened[DENSE].obsm) == obsm
        raw = "AnnDataRawAccessor object with n_obs × n_vars = 200 × 765\n  var: ['index']"
        assert repr(opened[FILES[0]].raw) == raw


class TestBesideLaminDB:
    """LaminDB's own accessor on the same file, where lamindb is installed."""

    @pytest.fixture
    def reference(self):
        pytest.importorskip("lamindb")
        accessor = pytest.importorskip("lamindb.core.storage._anndata_accessor")
        connection, storage = accessor.registry.open("h5py", str(stack.NOTEBOOK / "pbmc68k.h5ad"))
        return accessor.AnnDataAccessor(connection, storage, "pbmc68k.h5ad")

    def test_printed(self, reference, opened):
        assert repr(opened[DENSE]) == repr(reference)
        assert repr(opened[DENSE][3:9]) == repr(reference[3:9])
        assert repr(opened[DENSE].X) == repr(reference.X)
        assert repr(opened[DENSE].obsm) == repr(reference.obsm)

    @pytest.mark.parametrize(
        "row", ["bool list", "slice", "unsorted int list", "names", "slice of names", "empty list"]
    )
    def test_to_memory(self, reference, opened, row):
        index = rows(reference.obs_names)[row]
        same_anndata(opened[DENSE][index].to_memory(), reference[index].to_memory())
