"""Comparisons of decoded answers with what anndata, h5py and zarr read: every element, and the dtype.

Nothing here is approximate: floats must be equal bit by bit (NaN equals NaN).
"""

import anndata
import numpy
import pandas
import pyarrow
import scipy.sparse

from decode import dense


def same_array(found, expected):
    """The same shape, dtype and elements; a sparse matrix also has the same stored entries."""
    if scipy.sparse.issparse(expected):
        assert scipy.sparse.issparse(found), f"expected a sparse matrix, found {type(found).__name__}"
        assert found.shape == expected.shape
        assert found.nnz == expected.nnz
        same_array(dense(found), dense(expected))
        return
    found, expected = dense(found), texts(numpy.asarray(expected))
    assert found.shape == expected.shape
    if expected.dtype != object:
        assert found.dtype == expected.dtype
    numpy.testing.assert_array_equal(found, expected)


def texts(values):
    """`values` with bytes, numpy strings and missing values as Python objects, other types as they are."""
    if values.dtype.kind not in "OSUT":
        return values
    decoded = [text.decode() if isinstance(text, bytes) else text for text in values.ravel().tolist()]
    return numpy.array(decoded + [None], dtype=object)[:-1].reshape(values.shape)


def same_frame(table, expected):
    """A table that holds the data frame `expected`: columns in order, types, nulls, categories, index."""
    frame = table.to_pandas()
    assert list(frame.columns) == list(expected.columns)
    assert frame.index.name == expected.index.name
    assert list(frame.index) == list(expected.index)
    assert table.column_names[: len(expected.columns)] == list(expected.columns), "columns before the index"
    for name in expected.columns:
        same_column(table.column(name), expected[name])
        if isinstance(expected[name].dtype, pandas.CategoricalDtype):
            same_categories(frame[name], expected[name])


def same_column(column, expected):
    """An Arrow column that holds the pandas series `expected`."""
    plain_float = isinstance(expected.dtype, numpy.dtype) and expected.dtype.kind == "f"
    wanted = pyarrow.array(expected.reset_index(drop=True), from_pandas=not plain_float)
    found = column.combine_chunks()
    if pyarrow.types.is_dictionary(wanted.type):
        assert pyarrow.types.is_dictionary(found.type), f"expected a dictionary, found {found.type}"
        assert found.type.ordered == wanted.type.ordered
        assert found.type.index_type == wanted.type.index_type
        assert found.to_pylist() == wanted.to_pylist()
        return
    if pyarrow.types.is_large_string(found.type):
        found = found.cast(pyarrow.string())
    assert found.type == wanted.type
    if plain_float:  # NaN stays a number, it is no null
        assert found.null_count == 0
        numpy.testing.assert_array_equal(found.to_numpy(), wanted.to_numpy())
    else:
        assert found.equals(wanted), f"{found} is not {wanted}"


def same_categories(found, expected):
    """The same categories in the same order, also those that no row has."""
    assert isinstance(found.dtype, pandas.CategoricalDtype)
    assert list(found.cat.categories) == list(expected.cat.categories)
    assert found.cat.ordered == expected.cat.ordered
    assert list(found.cat.codes) == list(expected.cat.codes)


def read_anndata(path):
    """The reference answer: the whole data set, read by anndata."""
    return anndata.read_zarr(path) if str(path).endswith(".zarr") else anndata.read_h5ad(path)
