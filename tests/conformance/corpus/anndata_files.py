"""AnnData by the version that the tests install: every encoding of its registry, as h5ad and as zarr."""

import anndata
import awkward
import h5py
import numpy
import pandas
import scipy.sparse
from anndata.io import write_elem

from .case import FLOATS, INTEGERS, Case, numbers, smooth

ROWS, COLUMNS = 25, 9


def frame(count, name="cell"):
    return pandas.DataFrame(index=pandas.Index([f"{name}{position}" for position in range(count)]))


def sparse(shape, form="csr", dtype="f4", seed=1, density=0.3):
    return scipy.sparse.random(*shape, density=density, format=form, dtype=dtype, rng=seed)


def base(x=None, rows=ROWS, columns=COLUMNS):
    """An AnnData with the names of its axes only, and X when given."""
    return anndata.AnnData(X=x, obs=frame(rows), var=frame(columns, "gene"))


def dense_types():
    """X and layers of every number type."""
    data = base(numbers(ROWS * COLUMNS, "f4").reshape(ROWS, COLUMNS))
    for name in (*INTEGERS, *FLOATS, "?"):
        data.layers["bool" if name == "?" else name] = numbers(ROWS * COLUMNS, name).reshape(ROWS, COLUMNS)
    data.obsm["three"] = numbers(ROWS * 6, "f4").reshape(ROWS, 3, 2)
    data.obsm["complex"] = numbers(ROWS * 2, "c16").reshape(ROWS, 2)
    return data


def sparse_types():
    """CSR and CSC of several value types, indices of 32 and 64 bits."""
    data = base(sparse((ROWS, COLUMNS)))
    for form in ("csr", "csc"):
        for name in ("f8", "i4", "u2", "i8"):
            values = sparse((ROWS, COLUMNS), form, "f8", density=0.4)
            values.data = numpy.round(values.data * 100)
            data.layers[f"{form}_{name}"] = values.astype(name)
        wide = sparse((ROWS, COLUMNS), form, "f4", seed=5)
        wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
        data.layers[f"{form}_wide"] = wide
        data.layers[f"{form}_empty"] = sparse((ROWS, COLUMNS), form, density=0)
        data.layers[f"{form}_bool"] = sparse((ROWS, COLUMNS), form) > 0.5
    data.obsp["graph"] = sparse((ROWS, ROWS), "csr", density=0.1)
    data.varp["graph"] = sparse((COLUMNS, COLUMNS), "csc", density=0.2)
    data.obsm["sparse"] = sparse((ROWS, 4), "csr")
    return data


def columns():
    """A column of every kind, nulls, categories without rows, odd names."""
    data = base(numbers(ROWS * COLUMNS, "f4").reshape(ROWS, COLUMNS))
    obs = data.obs
    obs.index.name = "barcode"
    obs["categories"] = pandas.Categorical((["b", "a", None, "c", "a"] * 5), categories=["c", "a", "b", "unused"])
    obs["ordered"] = pandas.Categorical(["low", "high", None, "mid", "low"] * 5, categories=["low", "mid", "high"], ordered=True)
    obs["whole_categories"] = pandas.Categorical([3, 1, 2, 1, 3] * 5)
    obs["part_categories"] = pandas.Categorical([0.5, 1.5, None, 0.5, 2.5] * 5)
    obs["flag_categories"] = pandas.Categorical([True, False, True, True, None] * 5)
    many = [f"category {position}" for position in range(300)]
    obs["many"] = pandas.Categorical.from_codes(numpy.arange(ROWS) * 11, many)
    for name in (*INTEGERS, "f4", "f8", "?"):
        obs["bool" if name == "?" else name] = numbers(ROWS, name)
    for kind in ("Int8", "Int64", "UInt16"):
        obs[f"nullable_{kind}"] = pandas.array([1, None, 3, 4, None] * 5, dtype=kind)
    obs["nullable_bool"] = pandas.array([True, None, False, True, None] * 5, dtype="boolean")
    obs["text"] = [f"text {position} ü" for position in range(ROWS)]
    obs['odd, "name" ü'] = numpy.arange(ROWS)
    obs["name with space"] = numpy.arange(ROWS) * 0.5
    data.var["gene"] = pandas.array(["x", None, "z"] * 3, dtype="string")
    return data


def unstructured():
    """uns: scalars, texts, arrays, nested maps, frames, matrices, records, nothing."""
    data = base(numbers(ROWS * COLUMNS, "f4").reshape(ROWS, COLUMNS))
    data.uns = {
        "whole": 7, "part": 2.5, "flag": True, "word": "één", "numbers": numpy.arange(5), "words": numpy.array(["a", "bc"]),
        "matrix": numbers(12, "f8").reshape(3, 4), "empty": {}, "nested": {"deep": {"deeper": {"n": 1, "w": "x"}}},
        "frame": pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=["r0", "r1"]), "sparse": sparse((4, 5)),
        "categories": pandas.Categorical(["a", "b", None]), "nullable": pandas.array([1, None], dtype="Int64"),
        "list": ["x", "y", "z"],
    }
    return data


def records():
    """Structured arrays as scanpy leaves them in uns."""
    data = base(numbers(ROWS * COLUMNS, "f4").reshape(ROWS, COLUMNS))
    rows = numpy.zeros(5, [("a", "<i4"), ("b", "<f4"), ("name", "O")])
    rows["a"], rows["b"], rows["name"] = numpy.arange(5), numbers(5, "f4"), ["x", "yy", "", "ü", "z"]
    data.uns["numbers"] = rows[["a", "b"]].astype([("a", "<i4"), ("b", "<f4")])
    data.uns["ranked"] = rows
    return data


def awkward_arrays():
    """Arrays of rows of different lengths, of records, of texts."""
    data = base(numbers(ROWS * COLUMNS, "f4").reshape(ROWS, COLUMNS))
    data.obsm["ragged"] = awkward.Array([list(range(position % 4)) for position in range(ROWS)])
    data.obsm["records"] = awkward.Array([{"x": position, "y": [position / 2]} for position in range(ROWS)])
    data.uns["texts"] = awkward.Array([["a"], [], ["b", "ü"]])
    return data


def raw():
    """raw with another number of variables, sparse and with frames."""
    whole = base(sparse((ROWS, COLUMNS + 5)), columns=COLUMNS + 5)
    whole.var["score"] = numpy.arange(COLUMNS + 5)
    whole.varm["loadings"] = numbers((COLUMNS + 5) * 2, "f4").reshape(COLUMNS + 5, 2)
    data = whole[:, :COLUMNS].copy()
    data.raw = whole
    return data


def frames_inside():
    """Data frames in obsm and varm."""
    data = base(sparse((ROWS, COLUMNS), "csc"))
    inner = pandas.DataFrame({"a": numpy.arange(ROWS), "b": pandas.Categorical(["t", "u", None, "t", "u"] * 5)}, index=data.obs_names)
    data.obsm["frame"] = inner
    data.varm["frame"] = pandas.DataFrame({"text": [f"g{position}" for position in range(COLUMNS)]}, index=data.var_names)
    return data


def no_x():
    data = base(rows=ROWS, columns=COLUMNS)
    data.obs["n"] = numpy.arange(ROWS)
    data.layers["counts"] = smooth((ROWS, COLUMNS), "i8")
    return data


def no_rows():
    data = base(numpy.zeros((0, COLUMNS), "f4"), rows=0)
    data.obs["n"] = numpy.zeros(0, "i4")
    data.layers["sparse"] = scipy.sparse.csr_matrix((0, COLUMNS), dtype="f4")
    return data


def no_columns():
    data = base(numpy.zeros((ROWS, 0), "f4"), columns=0)
    data.layers["sparse"] = scipy.sparse.csr_matrix((ROWS, 0), dtype="f4")
    return data


def nothing():
    return anndata.AnnData()


CONTENTS = {
    "dense_types": ("dense X and layers of every number type, 3-D obsm", dense_types),
    "sparse_types": ("csr and csc, indices of 32 and 64 bits, obsp, varp", sparse_types),
    "columns": ("every kind of column, nulls, ordered and unused categories", columns),
    "unstructured": ("uns: scalars, nested, frames, sparse, categories", unstructured),
    "records": ("rec-arrays in uns", records),
    "awkward": ("awkward arrays", awkward_arrays),
    "raw": ("raw with more variables", raw),
    "frames_inside": ("data frames in obsm and varm", frames_inside),
    "no_x": ("no X", no_x),
    "no_rows": ("0 observations", no_rows),
    "no_columns": ("0 variables", no_columns),
    "nothing": ("0 observations, 0 variables", nothing),
}
QUESTIONS = {
    "dense_types": {"obsm/complex": "(?i)complex"},
    "sparse_types": {},
    "records": {"uns/*": "(?i)rec-array|struct"},
    "awkward": {"obsm/*": "(?i)awkward", "uns/texts*": "(?i)awkward"},
}


def hdf5(make, **options):
    def write(path):
        with anndata.settings.override(allow_write_nullable_strings=True):
            make().write_h5ad(path, **options)

    return write


def zarr(make, version):
    def write(path):
        with anndata.settings.override(allow_write_nullable_strings=True, zarr_write_format=version):
            make().write_zarr(path)

    return write


def chunked(path):
    """Elements written with chunks, shuffle and checksums, which AnnData's own words do not offer."""
    data = sparse_types()
    options = {"chunks": (7,), "compression": "gzip", "shuffle": True, "fletcher32": True}
    data.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["X"]
        write_elem(file, "X", sparse((ROWS, COLUMNS)), dataset_kwargs=options)


def narrow_indices(path):
    """Sparse indices of 16 bits without sign, as anndata 0.12 may write them. Changed with h5py."""
    data = base(sparse((ROWS, COLUMNS)))
    data.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        indices = file["X/indices"][...].astype("u2")
        del file["X/indices"]
        file["X/indices"] = indices


def cases():
    for content, (holds, make) in CONTENTS.items():
        questions = {"open_question": QUESTIONS.get(content, {}), "view": True}
        name = f"anndata/{content}"
        yield Case(f"{name}.h5ad", "anndata 0.12", "h5ad", holds, hdf5(make), **questions)
        for version in (2, 3):
            file = zarr(make, version)
            yield Case(f"{name}_v{version}.zarr", "anndata 0.12", f"zarr v{version}", holds, file, **questions)
    for compression in ("gzip", "lzf"):
        file = hdf5(sparse_types, compression=compression)
        yield Case(f"anndata/{compression}.h5ad", "anndata 0.12", "h5ad", f"csr and csc, {compression}", file, view=True)
    holds = "csr in chunks, shuffle, gzip, fletcher32"
    yield Case("anndata/chunked.h5ad", "anndata 0.12", "h5ad", holds, chunked, view=True)
    file = narrow_indices
    yield Case("anndata/narrow.h5ad", "anndata 0.12, changed", "h5ad", "csr with indices of 16 bits", file, view=True)


CASES = list(cases())
