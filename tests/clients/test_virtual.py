"""Datasets whose elements lie in other files, against h5py: virtual ones (by libhdf5) and external ones."""

import os
import random
import shutil

import h5py
import pyarrow
import pytest

import decode
import stack
from expect import same_array
from test_bad_input import DENIED, NOT_FOUND, UNIMPLEMENTED
from test_every_node import same_records
from wire import Client

FOLDER = stack.FIXTURES / "virtual"
KEY = "virtual/joined.h5"
PLAIN = ["rows", "converted", "texts", "missing_dataset", "own", "nested", "large", "attributed/rows", "counted"]


@pytest.fixture(scope="module")
def has_library(site):
    """Whether the program was built with the feature libhdf5; it must be where `REQUIRE_LIBHDF5` is set."""
    found = site.command("hdf5-worker", "--help", check=False).returncode == 0
    assert found or not os.environ.get("REQUIRE_LIBHDF5"), "this build has no feature libhdf5"
    return found


@pytest.fixture(scope="module")
def client(site):
    site.put("virtual", FOLDER)
    site.register(KEY)
    client = Client(site.serve().uri)
    yield client
    client.close()


@pytest.fixture
def library(has_library):
    if not has_library:
        pytest.skip("this build has no feature libhdf5")


@pytest.fixture
def joined(monkeypatch):
    """The file as h5py sees it; external data is opened relative to the working folder."""
    monkeypatch.chdir(FOLDER)
    with h5py.File("joined.h5") as file:
        yield file


@pytest.mark.parametrize("node", PLAIN)
def test_every_element(library, client, joined, node):
    same_array(decode.array(client.get({"key": KEY, "node": node})), native(joined[node][()]))


def test_compounds(library, client, joined):
    same_records(decode.array(client.get({"key": KEY, "node": "pairs"})), joined["pairs"][()])


@pytest.mark.parametrize("node", ["rows", "converted", "large", "counted"])
def test_random_slices(library, client, joined, node):
    whole, choice = native(joined[node][()]), random.Random(node)
    for _ in range(12):
        rows = [choice.randrange(len(whole)) for _ in range(choice.randrange(1, 9))]
        start, step = choice.randrange(whole.shape[1]), choice.choice([-3, -1, 1, 2])
        axes = [{"index": rows}, {"slice": {"start": start, "step": step}}]
        found = decode.array(client.get({"key": KEY, "node": node, "axes": axes}))
        same_array(found, whole[rows][:, start::step])


def test_external_data_needs_no_library(client, joined):
    same_array(decode.array(client.get({"key": KEY, "node": "raw"})), native(joined["raw"][()]))
    found = decode.array(client.get({"key": KEY, "node": "raw", "slice": "9:2:-3"}))
    same_array(found, native(joined["raw"][()])[9:2:-3])
    with pytest.raises(NOT_FOUND, match="nothing.bin"):
        client.get({"key": KEY, "node": "raw_missing"})


def test_names_that_leave_the_storage_are_refused(library, client):
    for node, name in [("absolute", "/etc/hostname"), ("escaping", "outside.h5")]:
        with pytest.raises(DENIED, match=name):
            client.get({"key": KEY, "node": node})
    with pytest.raises(UNIMPLEMENTED, match="required filter 'lzf' is not registered"):
        client.get({"key": KEY, "node": "lzf"})


def test_without_the_library_it_is_named(has_library, client):
    if has_library:
        pytest.skip("this build has the feature libhdf5")
    with pytest.raises(UNIMPLEMENTED, match="feature libhdf5"):
        client.get({"key": KEY, "node": "rows"})


def test_explain_names_the_elements(library, client):
    explained = client.action("explain", {"key": KEY, "node": "large", "axes": [{"index": [5, 599]}, {}]})
    found = [(entry["start"], entry["count"]) for entry in explained["ranges"]]
    assert found == [([0, 0], [131, 1000]), ([524, 0], [76, 1000])]


def test_a_new_version_of_a_source(library, site, client, tmp_path):
    """A source that changed is either read as it was, or the answer says so; a new server reads the new one."""
    shutil.copytree(FOLDER, tmp_path / "changing")
    site.put("changing", tmp_path / "changing")
    site.register("changing/joined.h5")
    request = {"key": "changing/joined.h5", "node": "rows"}
    before = decode.array(client.get(request))
    site.put("changing/part_0.h5", (FOLDER / "part_2.h5").read_bytes())
    try:
        same_array(decode.array(client.get(request)), before)
    except pyarrow.ArrowInvalid as error:
        assert "changed" in str(error)
    fresh = Client(site.serve().uri)
    found = decode.array(fresh.get(request))
    fresh.close()
    same_array(found[:4], before[8:12])
    same_array(found[4:], before[4:])


def native(values):
    """In the byte order of this machine, texts as such."""
    return values if values.dtype.kind == "O" else values.astype(values.dtype.newbyteorder("="))
