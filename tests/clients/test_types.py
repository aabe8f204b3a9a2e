"""Elements of every type equal what h5py and zarr-python read, one by one."""

import json
import warnings

import h5py
import numpy
import pyarrow
import pyarrow.flight as flight
import pytest
import zarr

import typed_files
from wire import Client

HDF5_FILES = {
    "types/earliest.h5": lambda path: typed_files.hdf5_types(path, "earliest"),
    "types/latest.h5": lambda path: typed_files.hdf5_types(path, "latest"),
    "types/complex.h5": typed_files.native_complex,
    "types/matlab.mat.h5": typed_files.matlab_like,
    "types/netcdf.nc": typed_files.netcdf_like,
}
# pyarrow gives some codes as errors of its own.
REFUSALS = (flight.FlightError, pyarrow.ArrowException)
REFUSED = {"regions": "region reference"}


@pytest.fixture(scope="module")
def typed(site):
    folder = site.folder / "typed"
    folder.mkdir()
    for key, write in HDF5_FILES.items():
        write(folder / key.split("/")[1])
        site.register(key, source=folder / key.split("/")[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr-python's types without a specification
        for version in (2, 3):
            typed_files.zarr_types(folder / f"v{version}.zarr", version)
            site.register(f"types/v{version}.zarr", source=folder / f"v{version}.zarr")
    return folder


@pytest.fixture(scope="module")
def client(site, typed):
    client = Client(site.serve().uri)
    yield client
    client.close()


def value(element, dtype, file):
    """An element as Arrow gives it to Python."""
    if h5py.check_ref_dtype(dtype) is not None or isinstance(element, h5py.Reference):
        return file[element].name if element else None
    inner = None if h5py.check_string_dtype(dtype) else h5py.check_vlen_dtype(dtype)
    if inner is not None:
        if isinstance(element, int) or element is None:  # h5py's zero for what was never written
            return []
        if isinstance(element, numpy.ndarray) and inner.kind in "iufc" and inner.byteorder == ">":
            # h5py gives the stored bytes and takes them for little-endian numbers.
            element = element.view(inner)
        return [value(item, inner, file) for item in element]
    if dtype.subdtype is not None:
        return [value(item, dtype.base, file) for item in numpy.ravel(element)]
    if dtype.names:
        fields = {name: value(element[name], dtype[name], file) for name in dtype.names}
        if list(fields) in (["r", "i"], ["real", "imag"]):
            fields = dict(zip(["re", "im"], fields.values()))
        return fields
    if dtype.kind == "c":
        return {"re": float(element.real), "im": float(element.imag)}
    if dtype.kind in "Mm":
        unit, count = numpy.datetime_data(dtype)
        served = {"h": "s", "D": "D" if dtype.kind == "M" else "s"}.get(unit, unit)
        return pyarrow.array(numpy.array([element]).astype(f"{dtype.kind}8[{served}]")).to_pylist()[0]
    if dtype.kind == "V":
        return bytes(element)
    if isinstance(element, bytes):
        return element.decode() if dtype.kind != "O" or h5py.check_string_dtype(dtype) is not None else element
    if isinstance(element, (str, bytes)):
        return str(element)
    return element.item() if hasattr(element, "item") else element


def same(found, wanted, place):
    """Equal Python values; NaN equals NaN."""
    if isinstance(wanted, dict):
        assert list(found) == list(wanted), place
        for name in wanted:
            same(found[name], wanted[name], f"{place}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), place
        for index, (one, other) in enumerate(zip(found, wanted)):
            same(one, other, f"{place}[{index}]")
    elif isinstance(wanted, float) and wanted != wanted:
        assert found != found, place
    else:
        assert found == wanted and type(found) is type(wanted), (place, found, wanted)


def rows(array, dtype, file=None):
    """The rows that an array is answered as: its elements, or flat lists of them."""
    array = numpy.asarray(array, dtype=object) if dtype.kind == "O" else numpy.asarray(array)
    flat = array.reshape((array.shape[0], -1)) if array.ndim > 1 else array.reshape(-1)
    if array.ndim > 1:
        return [[value(item, dtype, file) for item in row] for row in flat]
    return [value(item, dtype, file) for item in flat]


def column(table):
    return table.column(table.num_columns - 1).to_pylist()


@pytest.mark.parametrize("key", HDF5_FILES)
def test_every_hdf5_element_equals_what_h5py_reads(client, typed, key):
    compared = []

    def compare(name, node):
        if not isinstance(node, h5py.Dataset):
            return
        if name in REFUSED:
            with pytest.raises(REFUSALS, match=f"UNIMPLEMENTED.*{REFUSED[name]}|{REFUSED[name]}"):
                client.get({"key": key, "node": name})
            return
        table = client.get({"key": key, "node": name})
        if node.shape is None:
            assert table.num_rows == 1 and table.column(0).type == pyarrow.null(), name
        else:
            data, dtype = node[()], node.dtype
            if node.shape == ():
                holder = numpy.empty(1, dtype=object)
                holder[0] = data
                wanted = [value(holder[0], dtype, node.file)]
            elif data.shape != node.shape:  # h5py gives array types as dimensions
                base = node.id.get_type().get_super()
                inner = dtype.base if dtype.subdtype is not None else numpy.dtype(base.dtype)
                wanted = [[value(item, inner, node.file) for item in numpy.ravel(row)] for row in data]
            else:
                wanted = rows(data, dtype, node.file)
            same(column(table), wanted, f"{key}:{name}")
        compared.append(name)

    with h5py.File(typed / key.split("/")[1]) as file:
        file.visititems(compare)
    assert len(compared) >= {"types/earliest.h5": 150, "types/latest.h5": 150}.get(key, 2), compared


@pytest.mark.parametrize("version", [2, 3])
def test_every_zarr_element_equals_what_zarr_python_reads(client, typed, version):
    group = zarr.open_group(typed / f"v{version}.zarr", mode="r")
    compared = 0
    for name, array in group.arrays():
        request = {"key": f"types/v{version}.zarr", "node": name}
        if name.startswith("refused"):
            with pytest.raises(REFUSALS, match=f"{name.split('_')[1]}.* not supported"):
                client.get(request)
            continue
        data = array[...]
        same(column(client.get(request)), rows(data, data.dtype), f"v{version}:{name}")
        compared += 1
    assert compared == {2: 34, 3: 40}[version]


def test_big_endian_sequences_are_what_was_written(client):
    for kind in ("u2", "i4", "f8"):
        wanted = [typed_files.numbers(length, kind).tolist() for length in (3, 0, 1, 500, 2, 7)]
        assert column(client.get({"key": "types/latest.h5", "node": f"list_big_{kind}"})) == wanted


def test_types_have_the_names_and_metadata_that_the_documents_promise(client):
    tree = client.action("tree", {"key": "types/latest.h5"})
    names = {node["path"]: node.get("dtype") for node in tree["nodes"]}
    assert names["big/c8"] == "complex64" and names["little/c16"] == "complex128"
    assert names["list_big_f8"] == "list[float64]" and names["references"] == "object reference"
    assert names["big/enum_i2"] == "enum{BLUE: -2, GREEN: 1, RED: 0} of int16"
    assert names["times"] == "datetime64[us]" and names["spans"] == "timedelta64[ns]"
    field = client.get({"key": "types/latest.h5", "node": "big/enum_i2_scalar"}).schema.field(0)
    assert json.loads(field.metadata[b"sliceflight.enumeration"]) == typed_files.COLOURS
    field = client.get({"key": "types/latest.h5", "node": "big/enum_i2"}).schema.field(0)
    assert json.loads(field.metadata[b"sliceflight.enumeration"]) == typed_files.COLOURS
    inner = client.get({"key": "types/latest.h5", "node": "little/compound"}).schema.field(0).type.field("n").type
    assert json.loads(inner.field("c").metadata[b"sliceflight.enumeration"]) == typed_files.COLOURS
    types = {
        "M8_ns": pyarrow.timestamp("ns"),
        "M8_h": pyarrow.timestamp("s"),
        "M8_D": pyarrow.date32(),
        "m8_D": pyarrow.duration("s"),
        "binary": pyarrow.binary(),
        "raw": pyarrow.binary(8),
    }
    for name, arrow in types.items():
        assert client.get({"key": "types/v3.zarr", "node": name}).schema.field(0).type == arrow, name


def test_attributes_of_every_type_are_json(client):
    for key in ("types/earliest.h5", "types/latest.h5"):
        nodes = {node["path"]: node for node in client.action("tree", {"key": key})["nodes"]}
        assert nodes["attributes"]["attributes"] == typed_files.ATTRIBUTES


def test_dimension_scales_and_cells_tell_what_they_refer_to(client):
    nodes = {node["path"]: node for node in client.action("tree", {"key": "types/netcdf.nc"})["nodes"]}
    scales = [[{"reference": "/time"}], [{"reference": "/lat"}]]
    assert nodes["field"]["attributes"]["DIMENSION_LIST"] == scales
    assert nodes["lat"]["attributes"]["REFERENCE_LIST"] == [{"dataset": {"reference": "/field"}, "dimension": 1}]
    assert nodes["clouds"]["dtype"] == "enum{clear: 0, cloudy: 1} of int8"
    cells = column(client.get({"key": "types/matlab.mat.h5", "node": "names"}))
    assert cells == [["/#refs#/b"], ["/#refs#/c"], ["/#refs#/d"]]
    codes = numpy.ravel([row.as_py() if hasattr(row, "as_py") else row for row in column(client.get({"key": "types/matlab.mat.h5", "node": cells[1][0]}))])
    assert numpy.array(codes, "u2").tobytes().decode("utf-16-le") == "βeta"
    nodes = {node["path"]: node for node in client.action("tree", {"key": "types/matlab.mat.h5"})["nodes"]}
    assert nodes["structure"]["attributes"]["MATLAB_fields"] == [["a"], ["l", "o"]]


def test_selections_of_new_types_are_rows_in_the_asked_order(client, typed):
    with h5py.File(typed / "latest.h5") as file:
        for node in ("list_big_f8", "big/compound_chunked", "compound_list", "references"):
            data, dtype = file[node][()], file[node].dtype
            length = len(data)
            for picked in ([length - 1, 0, 0], [1], []):
                table = client.get({"key": "types/latest.h5", "node": node, "axes": [{"index": picked}]})
                same(column(table), rows(data[picked] if picked else data[:0], dtype, file), f"{node} {picked}")
        table = client.get({"key": "types/latest.h5", "node": "list_big_f8_2d", "slice": "::-1, 1:"})
        same(column(table), rows(file["list_big_f8_2d"][()][::-1, 1:], file["list_big_f8_2d"].dtype, file), "slice")
        table = client.get({"key": "types/latest.h5", "node": "big/compound/a"})
        same(column(table), rows(file["big/compound"]["a"], numpy.dtype("i4")), "field")
        table = client.get({"key": "types/latest.h5", "node": "compound_list/values"})
        assert column(table) == [[1, 2, 3], [], [65535]]


def test_explain_plans_what_new_types_read(client):
    for node in ("list_little_i4", "references", "null", "big/c16_chunked"):
        assert client.action("explain", {"key": "types/latest.h5", "node": node})


def frame_file(path):
    """An h5ad whose obs has columns that anndata does not write."""
    import anndata
    import pandas

    count = 6
    obs = pandas.DataFrame({"n": numpy.arange(count)}, index=[f"cell{index}" for index in range(count)])
    anndata.AnnData(numpy.ones((count, 2), "f4"), obs=obs).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        group = file["obs"]
        group.create_dataset("kind", data=numpy.arange(count, dtype="i2") % 3, dtype=h5py.enum_dtype({"a": 0, "b": 1, "c": 2}, "i2"))
        group["z"] = typed_files.numbers(count, "c8")
        group.create_dataset("hits", (count,), h5py.vlen_dtype("i4"))[...] = typed_files.objects([numpy.arange(n, dtype="i4") for n in range(count)])
        group["parent"] = numpy.array([file["X"].ref] * count, h5py.ref_dtype)
        group.attrs["column-order"] = numpy.array(["n", "kind", "z", "hits", "parent"], dtype=object)
        file["uns"].create_dataset("ragged", (2,), h5py.vlen_dtype("i4"))[...] = typed_files.objects([numpy.arange(3, dtype="i4"), numpy.arange(0, dtype="i4")])
        file["uns"].create_dataset("none", data=h5py.Empty("f4")).attrs.update({"encoding-type": "null", "encoding-version": "0.1.0"})


def test_frames_with_new_types_are_filtered_and_joined(site, client):
    frame_file(site.folder / "frame.h5ad")
    site.register("types/frame.h5ad", source=site.folder / "frame.h5ad")
    key = "types/frame.h5ad"
    table = client.get({"key": key, "node": "obs"})
    assert table.column("hits").to_pylist() == [list(range(n)) for n in range(6)]
    assert table.column("parent").to_pylist() == ["/X"] * 6
    assert table.column("kind").to_pylist() == [0, 1, 2] * 2
    picked = client.get({"key": key, "node": "X", "obs": {"where": "kind = 2"}, "with_obs": ["kind", "z", "hits"]})
    assert picked.column("hits").to_pylist() == [[0, 1], [0, 1, 2, 3, 4]]
    assert picked.column("z").to_pylist() == [table.column("z").to_pylist()[row] for row in (2, 5)]
    for where in ("hits = 3", "z > 1", "z = 'x'"):
        with pytest.raises(REFUSALS, match="hits|z"):
            client.get({"key": key, "node": "obs", "where": where})
    uns = column(client.get({"key": key, "node": "uns"}))[0]
    assert uns["ragged"] == [[0, 1, 2], []] and uns["none"] is None
    none = client.get({"key": key, "node": "uns/none"})
    assert none.num_rows == 1 and none.column(0).to_pylist() == [None]


def heap_reference(path, name):
    """Where the first heap reference of a contiguous dataset lies in its file."""
    with h5py.File(path) as file:
        return file[name].id.get_offset()


def test_references_that_lead_nowhere_are_data_loss(site, client):
    path = site.folder / "damage.h5"
    with h5py.File(path, "w") as file:
        for name in ("outside", "elsewhere", "index", "longer"):
            dataset = file.create_dataset(name, (2,), h5py.vlen_dtype("i4"))
            dataset[0] = dataset[1] = numpy.arange(5, dtype="i4")
    content = bytearray(path.read_bytes())
    change = {"outside": (4, (1 << 40).to_bytes(8, "little")), "elsewhere": (4, (8).to_bytes(8, "little")),
              "index": (12, (999).to_bytes(4, "little")), "longer": (0, (6000).to_bytes(4, "little"))}
    for name, (offset, new) in change.items():
        start = heap_reference(path, name) + offset
        content[start : start + len(new)] = new
    site.register("types/damage.h5", source=bytes(content))
    for name in change:
        with pytest.raises(REFUSALS) as caught:
            client.get({"key": "types/damage.h5", "node": name})
        assert f"'{name}'" in str(caught.value) and "heap" in str(caught.value), str(caught.value)


SETTINGS = """
[limits]
memory_budget = "64 MiB"
stream_memory = "16 MiB"
block_cache_bytes = "8 MiB"
"""


def test_sequences_stream_within_the_budget_and_giants_are_refused(site):
    path = site.folder / "large.h5"
    lengths = [1, 200_000, 0, 5, 1_000_000] * 20
    with h5py.File(path, "w", libver="latest") as file:
        dataset = file.create_dataset("ragged", (len(lengths),), h5py.vlen_dtype("i4"))
        for row, length in enumerate(lengths):
            dataset[row] = numpy.arange(row, row + length, dtype="i4")
        file.create_dataset("giant", (2,), h5py.vlen_dtype("i4"))[1] = numpy.zeros(20_000_000, "i4")
    site.register("types/large.h5", source=path)
    path.unlink()
    server = site.serve(settings=SETTINGS)
    client = Client(server.uri, seconds=120)
    row = 0
    for chunk in client.reader({"key": "types/large.h5", "node": "ragged"}):
        for found in chunk.data.column(0):
            wanted = numpy.arange(row, row + lengths[row], dtype="i4")
            numpy.testing.assert_array_equal(found.values.to_numpy(), wanted)
            row += 1
    assert row == len(lengths)
    with pytest.raises(REFUSALS, match="memory_budget"):
        client.get({"key": "types/large.h5", "node": "giant"})
    client.close()
    server.stop()
