"""Datasets that the parser refuses by name: with libhdf5 those that it gives exactly, against h5py's C library;
without it a refusal that says what libhdf5 would do."""

import importlib
import json
import os
import random

import h5py
import numpy
import pytest

import stack
from test_bad_input import UNIMPLEMENTED
from wire import Client

FOLDER = stack.FIXTURES / "refused"
KEY = "refused/refused.h5"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
# Read without libhdf5: no filter matters where nothing was written.
OWN = {"unwritten"}
SERVED = [name for name, entry in EXPECTED.items() if entry and name not in OWN]
REFUSED = [name for name, entry in EXPECTED.items() if not entry]


@pytest.fixture(scope="module")
def has_library(site):
    found = site.command("hdf5-worker", "--help", check=False).returncode == 0
    assert found or not os.environ.get("REQUIRE_LIBHDF5"), "this build has no feature libhdf5"
    return found


@pytest.fixture(scope="module")
def client(site):
    site.put("refused", FOLDER)
    for name in ("refused", "unknown"):
        site.register(f"refused/{name}.h5")
    client = Client(site.serve().uri)
    yield client
    client.close()


@pytest.fixture(scope="module")
def library():
    """How libhdf5 reads the datasets: the words of the program that wrote them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(stack.FIXTURES))
        return importlib.import_module("generate_refused")


@pytest.fixture(scope="module")
def elements(library):
    """The elements of every dataset by name, as h5py's libhdf5 converts them."""
    with h5py.File(FOLDER / "refused.h5") as file:
        return {name: library.converted(file[name]) for name in [*SERVED, *OWN]}


def leaves(value):
    """All numbers and texts of an element, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    elif isinstance(value, numpy.void):
        value = [value[name] for name in value.dtype.names]
    elif isinstance(value, numpy.ndarray):
        value = list(value)
    if not isinstance(value, list):
        return [value.decode() if isinstance(value, bytes) else value]
    return [leaf for item in value for leaf in leaves(item)]


def asked(client, node, **part):
    table = client.get({"key": KEY, "node": node, **part})
    return table.column(table.num_columns - 1).to_pylist()


@pytest.mark.parametrize("name", SERVED)
def test_elements_are_those_of_libhdf5(has_library, client, elements, name):
    if not has_library:
        with pytest.raises(UNIMPLEMENTED, match="libhdf5 reads it|may read it|a build with it reads only chunks"):
            asked(client, name)
        return
    expected = elements[name]
    assert leaves(asked(client, name)) == leaves(expected)
    choice = random.Random(name)
    rows = [choice.randrange(len(expected)) for _ in range(5)]
    assert leaves(asked(client, name, axes=[{"index": rows}])) == leaves(expected[rows])


def test_what_was_never_written_needs_no_filter(client, elements):
    assert leaves(asked(client, "unwritten")) == leaves(elements["unwritten"])


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_libhdf5_does(has_library, client, name):
    words = "libhdf5 cannot read it either: " if has_library else "libhdf5 does not|may read it"
    with pytest.raises(UNIMPLEMENTED, match=words):
        asked(client, name)


def test_listings_have_all_that_is_there(client):
    listed = {node["path"] for node in client.action("tree", {"key": KEY})["nodes"]}
    assert listed == set(EXPECTED)
    listed = {node["path"]: node for node in client.action("tree", {"key": "refused/unknown.h5"})["nodes"]}
    assert listed["group"]["attributes"]["known"] == 1
    assert {"group/data", "data", "links/before", "links/after", "temp \\xb0C/d\\xe9bit", "shapeless"} <= listed.keys()
    table = client.get({"key": "refused/unknown.h5", "node": "temp \\xb0C/d\\xe9bit"})
    assert table.column(0).to_pylist() == [0, 1, 2]
