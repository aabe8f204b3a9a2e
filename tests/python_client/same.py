"""Whether two objects in memory are the same in every element: AnnData, frames, matrices, nested dicts."""

import numpy
import pandas
import scipy.sparse

PARTS = ("layers", "obsm", "varm", "obsp", "varp")


def same_anndata(found, expected):
    """Every element of two AnnData objects."""
    assert found.shape == expected.shape
    assert repr(found) == repr(expected)
    pandas.testing.assert_frame_equal(found.obs, expected.obs)
    pandas.testing.assert_frame_equal(found.var, expected.var)
    same(found.X, expected.X)
    for part in PARTS:
        same(dict(getattr(found, part)), dict(getattr(expected, part)))
    same(dict(found.uns), dict(expected.uns))
    assert (found.raw is None) == (expected.raw is None)
    if expected.raw is not None:
        same(found.raw.X, expected.raw.X)
        pandas.testing.assert_frame_equal(found.raw.var, expected.raw.var)
        same(dict(found.raw.varm), dict(expected.raw.varm))


def same(found, expected):
    """Two elements: types, shapes, dtypes and values; NaN equals NaN."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), type(found)
        assert list(sorted(found)) == list(sorted(expected))
        for name in expected:
            same(found[name], expected[name])
    elif scipy.sparse.issparse(expected):
        same_matrix(found, expected)
    elif isinstance(expected, pandas.DataFrame):
        pandas.testing.assert_frame_equal(found, expected)
    elif isinstance(expected, pandas.api.extensions.ExtensionArray):
        pandas.testing.assert_extension_array_equal(found, expected)
    elif type(expected).__module__.startswith("awkward"):
        assert str(found.type) == str(expected.type)
        assert found.to_list() == expected.to_list()
    elif expected is None:
        assert found is None
    elif isinstance(expected, numpy.ndarray):
        assert isinstance(found, numpy.ndarray), type(found)
        if expected.dtype.kind == "T":  # zarr-python's texts; the client's are objects, as from h5ad
            expected = expected.astype(object)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        numpy.testing.assert_array_equal(found, expected)
    else:
        assert type(found) is type(expected), f"{type(found)} is not {type(expected)}"
        assert found == expected or (found != found and expected != expected)


def same_matrix(found, expected):
    """Two scipy matrices: format, shape, dtype, and the same stored entries."""
    assert scipy.sparse.issparse(found), type(found)
    assert (found.format, found.shape, found.dtype, found.nnz) == (
        expected.format,
        expected.shape,
        expected.dtype,
        expected.nnz,
    )
    found.check_format(full_check=True)
    numpy.testing.assert_array_equal(found.toarray(), expected.toarray())
