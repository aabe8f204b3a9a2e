"""Dimension names of netCDF-4 files as both of their writers store them: references to dimension scales."""

import json

import h5netcdf
import netCDF4
import numpy
import pytest

import decode
from wire import Client

SHAPE = (3, 4, 5)
VALUES = numpy.arange(60, dtype="f4").reshape(SHAPE)


def with_netcdf4(path):
    """Variables and dimensions at the root and in a group; `cell` is a dimension without a variable."""
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.createDimension("time", None)
        for name, length in (("lat", 4), ("lon", 5), ("cell", 4)):
            file.createDimension(name, length)
        for name, length in (("time", 3), ("lat", 4)):
            file.createVariable(name, "f8", (name,))[:] = numpy.arange(length)
        file.createVariable("temperature", "f4", ("time", "lat", "lon"))[:] = VALUES
        file.createVariable("area", "f4", ("cell",))[:] = VALUES[0, :, 0]
        group = file.createGroup("model")
        group.createDimension("level", 5)
        group.createVariable("wind", "f4", ("lat", "level"))[:] = VALUES[0]
        group.createVariable("square", "f4", ("cell", "lat"))[:] = numpy.zeros((4, 4), "f4")


def with_h5netcdf(path):
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": 3, "lat": 4, "lon": 5, "cell": 4}
        for name, length in (("time", 3), ("lat", 4)):
            file.create_variable(name, (name,), data=numpy.arange(length, dtype="f8"))
        file.create_variable("temperature", ("time", "lat", "lon"), data=VALUES)
        file.create_variable("area", ("cell",), data=VALUES[0, :, 0])
        group = file.create_group("model")
        group.dimensions["level"] = 5
        group.create_variable("wind", ("lat", "level"), data=VALUES[0])
        group.create_variable("square", ("cell", "lat"), data=numpy.zeros((4, 4), "f4"))


WRITERS = {"netcdf4": with_netcdf4, "h5netcdf": with_h5netcdf}
NAMES = {
    "temperature": ["time", "lat", "lon"],
    "area": ["cell"],
    "model/wind": ["lat", "level"],
    "model/square": ["cell", "lat"],
}


@pytest.fixture(scope="module")
def client(site):
    for name, write in WRITERS.items():
        path = site.folder / f"{name}.nc"
        write(path)
        site.register(f"generated/{name}.nc", source=path)
    client = Client(site.serve().uri)
    yield client
    client.close()


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("node", "names"), NAMES.items())
def test_answers_name_their_dimensions(client, writer, node, names):
    (field,) = client.get({"key": f"generated/{writer}.nc", "node": node}).schema
    assert json.loads(field.metadata[b"dimension_names"]) == names
    if len(names) > 1:
        assert field.type.dim_names == names[1:]


@pytest.mark.parametrize("writer", WRITERS)
def test_slices_keep_the_names_of_what_is_left(client, writer):
    request = {"key": f"generated/{writer}.nc", "node": "temperature", "slice": "1, ::-1, 1:3", "squeeze": True}
    table = client.get(request)
    (field,) = table.schema
    assert json.loads(field.metadata[b"dimension_names"]) == ["lat", "lon"]
    assert field.type.dim_names == ["lon"]
    numpy.testing.assert_array_equal(decode.array(table), VALUES[1, ::-1, 1:3])


@pytest.mark.parametrize("writer", WRITERS)
def test_listings_name_the_dimensions_of_every_variable(client, writer):
    nodes = client.action("tree", {"key": f"generated/{writer}.nc"})["nodes"]
    found = {node["path"]: node.get("dimension_names") for node in nodes}
    assert {node: found[node] for node in NAMES} == NAMES
    # Scales are the dimension that they are called like, as netCDF reads them.
    assert (found["time"], found["lat"], found["cell"]) == (["time"], ["lat"], None)
