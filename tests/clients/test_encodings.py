"""Encodings of anndata beyond frames and matrices: awkward arrays, record arrays, bytes, nullable
texts as an index, narrow sparse indices. The oracle is anndata (and awkward) reading the same file."""

import json

import anndata
import awkward
import h5py
import numpy
import pandas
import pyarrow.flight as flight
import pytest
import scipy.sparse
import zarr

import decode
from expect import same_array
from wire import Client

ROWS = 40


def ragged(seed, low=0, high=6):
    random = numpy.random.default_rng(seed)
    return [random.normal(size=random.integers(low, high)).tolist() for _ in range(ROWS)]


def arrays():
    """Awkward arrays of `ROWS` rows, one for each kind of form."""
    lists = ragged(0)
    records = [{"name": f"tag{row}" if row % 3 else "", "at": row, "scores": lists[row]} for row in range(ROWS)]
    positions = awkward.Array([[[1, 2], []] if row % 2 else [[row]] for row in range(ROWS)])
    return {
        "lists": awkward.Array(lists),
        "records": awkward.Array(records),
        "lists_of_records": awkward.Array([records[: row % 4] for row in range(ROWS)]),
        "nested": positions,
        "missing": awkward.Array([None if row % 5 == 0 else [row, None] for row in range(ROWS)]),
        "texts": awkward.Array([["a", "bé", ""][: row % 4] for row in range(ROWS)]),
        "text": awkward.Array([None if row == 3 else f"row {row}" for row in range(ROWS)]),
        "byte_strings": awkward.Array([[b"\x00\xff", b""][: row % 3] for row in range(ROWS)]),
        "tuples": awkward.Array([(row, [f"t{row}"]) for row in range(ROWS)]),
        "regular": awkward.to_regular(awkward.Array([[row, row + 1, row + 2] for row in range(ROWS)])),
        "booleans": awkward.Array([[bool(row % 2)] * (row % 3) for row in range(ROWS)]),
        "empty": awkward.Array([[]] * ROWS),
        "masked": awkward.Array(
            awkward.contents.ByteMaskedArray(
                awkward.index.Index8(numpy.arange(ROWS) % 3 == 0),
                awkward.contents.NumpyArray(numpy.arange(ROWS, dtype=numpy.int16)),
                valid_when=False,
            )
        ),
        "bit_masked": awkward.Array(
            awkward.contents.BitMaskedArray(
                awkward.index.IndexU8(numpy.packbits(numpy.arange(ROWS) % 4 == 0, bitorder="big")),
                awkward.contents.NumpyArray(numpy.arange(ROWS, dtype=numpy.float32)),
                valid_when=True,
                length=ROWS,
                lsb_order=False,
            )
        ),
    }


def data():
    """An AnnData with each of them."""
    matrix = scipy.sparse.random(ROWS, 9, density=0.4, format="csr", dtype=numpy.float32, random_state=1)
    matrix.sort_indices()
    obs = pandas.DataFrame({"group": pandas.Categorical(["a", "b"] * (ROWS // 2))}, index=[f"cell{at}" for at in range(ROWS)])
    var = pandas.DataFrame(index=[f"gene{at}" for at in range(9)])
    built = anndata.AnnData(matrix, obs=obs, var=var)
    for name, value in arrays().items():
        built.obsm[name] = value
    built.varm["terms"] = awkward.Array([["go"] * (at % 3) for at in range(9)])
    built.uns["words"] = awkward.Array([["a"], [], ["b", "c"]])
    built.uns["one"] = {"inner": awkward.Array([{"x": 1}, {"x": 2}])}
    built.uns["table"] = numpy.array([(1, 2.5, b"ab"), (3, -1.0, b"c")], dtype=[("i", "<i4"), ("x", ">f8"), ("s", "S3")])
    return built


@pytest.fixture(scope="module")
def served(site, tmp_path_factory):
    """A client, and the data as anndata reads each file."""
    folder = tmp_path_factory.mktemp("encodings")
    built, read = data(), {}
    for name in ("encodings.h5ad", "encodings_v2.zarr", "encodings_v3.zarr"):
        path = folder / name
        if path.suffix == ".h5ad":
            built.write_h5ad(path, compression="gzip")
            read[name] = anndata.read_h5ad(path)
        else:
            anndata.settings.zarr_write_format = int(name[-6])
            built.write_zarr(path)
            read[name] = anndata.read_zarr(path)
        site.register(name, source=path)
    client = Client(site.serve().uri)
    yield client, read
    client.close()


FILES = ("encodings.h5ad", "encodings_v2.zarr", "encodings_v3.zarr")
KEYS = tuple(arrays())


def plain(value):
    """A list of Python objects; tuples as the structs that Arrow makes of them."""
    if isinstance(value, tuple):
        return {str(at): plain(part) for at, part in enumerate(value)}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return value


def rows_of(table):
    return table.column(table.num_columns - 1).to_pylist()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", KEYS)
def test_awkward_array_whole(served, file, name):
    client, read = served
    expected = plain(awkward.to_list(read[file].obsm[name]))
    assert len(expected) == ROWS
    assert rows_of(client.get((file, f"obsm/{name}"))) == expected


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", KEYS)
def test_awkward_array_selected(served, file, name):
    client, read = served
    whole = plain(awkward.to_list(read[file].obsm[name]))
    selections = [
        ({"index": [7, 7, 0, -1, 12]}, [7, 7, 0, ROWS - 1, 12]),
        ({"slice": {"start": 30, "stop": 3, "step": -4}}, list(range(30, 3, -4))),
        ({"where": "\"group\" = 'b'"}, list(range(1, ROWS, 2))),
        ({"names": ["cell5", "cell2"]}, [5, 2]),
        ({"index": []}, []),
    ]
    for selector, rows in selections:
        found = client.get({"key": file, "node": f"obsm/{name}", "obs": selector})
        assert rows_of(found) == [whole[row] for row in rows], selector


def test_awkward_rows_come_with_their_index(served):
    client, read = served
    request = {"key": FILES[0], "node": "obsm/lists", "with_index": True, "with_obs": ["group"], "offset": 3, "limit": 4}
    table = client.get(request)
    assert table.column_names[-1] == "lists"
    assert table.column(0).to_pylist() == [f"cell{row}" for row in range(3, 7)]
    assert table.column(1).to_pylist() == ["b", "a", "b", "a"]
    assert rows_of(table) == awkward.to_list(read[FILES[0]].obsm["lists"][3:7])


@pytest.mark.parametrize("file", FILES)
def test_awkward_arrays_of_other_axes_and_mappings(served, file):
    client, read = served
    assert rows_of(client.get((file, "varm/terms"))) == awkward.to_list(read[file].varm["terms"])
    some = client.get({"key": file, "node": "varm/terms", "var": {"names": ["gene5", "gene1"]}})
    assert rows_of(some) == [["go", "go"], ["go"]]
    assert rows_of(client.get((file, "uns/words"))) == [["a"], [], ["b", "c"]]
    members = decode.scalar(client.get((file, "uns")))
    assert members["words"] == [["a"], [], ["b", "c"]]
    assert members["one"] == {"inner": [{"x": 1}, {"x": 2}]}


@pytest.mark.parametrize("file", FILES)
def test_record_array(served, file):
    client, read = served
    expected = read[file].uns["table"]
    found = rows_of(client.get((file, "uns/table")))
    text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
    assert [(row["i"], row["x"], row["s"]) for row in found] == [(int(i), float(x), text(s)) for i, x, s in expected]
    same_array(decode.array(client.get((file, "uns/table/x"))), expected["x"].astype("<f8"))


def test_other_forms_of_an_awkward_array_are_refused_by_name(served):
    client, _ = served
    for extra, words in (
        ({"layout": "wide"}, "awkward array"),
        ({"columns": ["a"]}, "columns apply to tables"),
        ({"obs": {"index": [ROWS]}}, f"{ROWS}"),
    ):
        with pytest.raises((flight.FlightError, ValueError, NotImplementedError, OSError, IndexError), match=words):
            client.get({"key": FILES[0], "node": "obsm/lists"} | extra)


def test_damaged_awkward_arrays(site, tmp_path, served):
    """Each damage is named, and the array next to it still answers."""
    client, _ = served
    path = tmp_path / "damaged.h5ad"
    data().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        lists, records, nested = (file[f"obsm/{name}"] for name in ("lists", "records", "nested"))
        lists["node0-offsets"][3] = 10**9
        form = json.loads(records.attrs["form"])
        form["contents"][0]["class"] = "MysteryArray"
        records.attrs["form"] = json.dumps(form)
        mixed = awkward.Array([row if row % 2 else f"text {row}" for row in range(ROWS)])
        anndata.io.write_elem(file["obsm"], "mixed", mixed)
        del nested["node2-data" if "node2-data" in nested else "node1-offsets"]
        file["obsm/missing"].attrs["form"] = "{"
        file["obsm/text/node2-data"][0] = 0xFF
    site.register("damaged.h5ad", source=path)
    for name, words in (
        ("lists", "list from"),
        ("records", "MysteryArray"),
        ("nested", "no node 'obsm/nested/"),
        ("missing", "no JSON"),
        ("text", "UTF-8"),
        ("mixed", "'UnionArray'"),
    ):
        with pytest.raises((flight.FlightError, OSError, NotImplementedError, KeyError), match=words):
            client.get(("damaged.h5ad", f"obsm/{name}"))
    assert client.get(("damaged.h5ad", "obsm/tuples")).num_rows == ROWS


def test_rows_of_awkward_array_read_only_their_parts(site, tmp_path):
    """Ten rows of many move the bytes of ten rows."""
    count = 200_000
    values = numpy.arange(count * 3, dtype=numpy.int64)
    lists = awkward.unflatten(awkward.Array(values), numpy.full(count, 3))
    built = anndata.AnnData(obs=pandas.DataFrame(index=[str(at) for at in range(count)]))
    built.obsm["lists"] = lists
    built.write_h5ad(tmp_path / "many.h5ad")
    site.register("many.h5ad", source=tmp_path / "many.h5ad")
    client = Client(site.serve().uri)
    client.get({"key": "many.h5ad", "node": "obsm/lists", "axes": [{"slice": {"start": 0, "stop": 1}}]})
    site.cloud.reset()
    found = client.get({"key": "many.h5ad", "node": "obsm/lists", "axes": [{"slice": {"start": 100_000, "stop": 100_010}}]})
    assert rows_of(found) == awkward.to_list(lists[100_000:100_010])
    counters = site.cloud.stats()
    assert counters["bytes_sent"] < 400_000, counters
    client.close()


def test_skewed_rows_stream_within_windows(site, tmp_path):
    """One row of a megabyte among many small ones: windows follow the rows' own lengths."""
    lengths = numpy.ones(20_000, dtype=int)
    lengths[777] = 130_000
    lists = awkward.unflatten(awkward.Array(numpy.arange(lengths.sum(), dtype=numpy.float64)), lengths)
    built = anndata.AnnData(obs=pandas.DataFrame(index=[str(at) for at in range(len(lengths))]))
    built.obsm["lists"] = lists
    built.write_h5ad(tmp_path / "skewed.h5ad", compression="gzip")
    site.register("skewed.h5ad", source=tmp_path / "skewed.h5ad")
    client = Client(site.serve(settings="[limits]\nstream_memory = \"4 MiB\"\nmemory_budget = \"16 MiB\"\n").uri)
    found = client.get(("skewed.h5ad", "obsm/lists"))
    assert rows_of(found) == awkward.to_list(lists)
    client.close()


NARROW = (numpy.uint8, numpy.int8, numpy.uint16, numpy.int16, numpy.uint32, numpy.int64)


@pytest.mark.parametrize("dtype", NARROW, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("kind", ("csr", "csc"))
def test_sparse_indices_of_any_width(site, tmp_path, served, kind, dtype):
    """anndata 0.12.9 and later write the narrowest indices that fit."""
    client, _ = served
    matrix = scipy.sparse.random(30, 20, density=0.3, format=kind, dtype=numpy.float32, random_state=2)
    matrix.sort_indices()
    name = f"narrow-{kind}-{dtype.__name__}.h5ad"
    anndata.AnnData(matrix).write_h5ad(tmp_path / name)
    with h5py.File(tmp_path / name, "r+") as file:
        indices = file["X/indices"][()]
        del file["X/indices"]
        file["X"].create_dataset("indices", data=indices.astype(dtype), chunks=(64,), compression="gzip")
    site.register(name, source=tmp_path / name)
    same_array(decode.array(client.get((name, "X"))), matrix)
    some = {"key": name, "node": "X", "layout": "dense", "obs": {"index": [3, 1]}, "var": {"index": [7, 2, 19]}}
    same_array(decode.array(client.get(some)), matrix.toarray()[[3, 1]][:, [7, 2, 19]])


def test_nullable_text_as_index_and_column(site, tmp_path, served):
    """The index of anndata 0.13: a nullable-string-array; names and filters work on it."""
    client, _ = served
    values = numpy.array(["c0", "c1", "c2", "c3"], dtype=object)
    path = tmp_path / "nullable.h5ad"
    built = anndata.AnnData(numpy.eye(4, dtype=numpy.float32), obs=pandas.DataFrame({"n": [1, 2, 3, 4]}, index=values))
    built.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for frame, name in (("obs", "_index"),):
            del file[frame][name]
            with anndata.settings.override(allow_write_nullable_strings=True):
                anndata.io.write_elem(file[frame], name, pandas.array(values, dtype="string"))
            assert file[frame][name].attrs["encoding-type"] == "nullable-string-array"
    site.register("nullable.h5ad", source=path)
    assert client.get(("nullable.h5ad", "obs")).column("_index").to_pylist() == list(values)
    found = client.get({"key": "nullable.h5ad", "node": "X", "obs": {"names": ["c3", "c1"]}})
    same_array(decode.array(found), numpy.eye(4, dtype=numpy.float32)[[3, 1]])
    found = client.get({"key": "nullable.h5ad", "node": "X", "obs": {"where": "_index = 'c2'"}, "with_index": True})
    assert found.column(0).to_pylist() == ["c2"]


def test_bytes_and_null(site, tmp_path, served):
    """`bytes` and `null` values of uns, as anndata writes them."""
    client, _ = served
    built = anndata.AnnData(numpy.zeros((1, 1), dtype=numpy.float32))
    path = tmp_path / "plain.h5ad"
    built.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        # anndata reads this encoding and never writes it.
        raw = file["uns"].create_dataset("raw_bytes", data=numpy.void(b"\x00ab\xff"))
        raw.attrs["encoding-type"], raw.attrs["encoding-version"] = "bytes", "0.2.0"
        anndata.io.write_elem(file["uns"], "nothing", None)
        anndata.io.write_elem(file["uns"], "number", numpy.float32(2.5))
        expected = anndata.io.read_elem(file["uns/raw_bytes"])
    site.register("plain.h5ad", source=path)
    members = decode.scalar(client.get(("plain.h5ad", "uns")))
    assert members["nothing"] is None
    assert members["number"] == 2.5
    assert members["raw_bytes"] == bytes(expected)


def test_unknown_encodings_are_refused_by_name(site, tmp_path, served):
    """An encoding that nobody knows yet is not read as something else, be it of a group or an array."""
    client, _ = served
    built = anndata.AnnData(numpy.zeros((2, 2), dtype=numpy.float32))
    path = tmp_path / "future.h5ad"
    built.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X"].attrs["encoding-type"] = "array-of-the-future"
        group = file["uns"].create_group("thing")
        group.attrs["encoding-type"], group.attrs["encoding-version"] = "thing", "9.0.0"
    site.register("future.h5ad", source=path)
    for node, words in (("X", "array-of-the-future"), ("uns/thing", "'thing' version '9.0.0'")):
        with pytest.raises((flight.FlightError, NotImplementedError), match=words):
            client.get(("future.h5ad", node))
