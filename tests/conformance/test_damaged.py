"""Five hundred files with changed bytes: an error or the right answer, and the server goes on.

Where no checksum guards a changed byte, other values are accepted for the arrays that the byte decides, and for no
others (`damage.py`). `DAMAGED_SEED=n` and `DAMAGED_CASES=n` take other files; a failure names the places.
"""

import os
import random
import time


import h5py
import pyarrow
import pytest

import decode

from . import damage
from .compare import same_elements
from .house import House
from .reference import stored_nodes

SEED = os.environ.get("DAMAGED_SEED", "1")
CASES = int(os.environ.get("DAMAGED_CASES", "504"))
SECONDS = 10
MEMORY = 1 << 30
SUBJECTS = damage.subjects()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A server of its own, whose memory nothing else uses."""
    house = House(tmp_path_factory.mktemp("damaged"), seconds=SECONDS)
    yield house
    house.stop()


def nodes(path):
    """The arrays that are read of every copy, as they were written."""
    return {name: found for name, found in stored_nodes(path).items() if found.kind == "array" and found.shape is not None}


def read(house, key, name, found):
    """`right`, `different` or `error` for one array; a fault of the server or a hang fails."""
    start = time.monotonic()
    try:
        table = house.client.direct({"key": key, "node": name})
    except (pyarrow.ArrowException, OSError, KeyError, NotImplementedError) as error:
        refused(error, start)
        return "error"
    assert time.monotonic() - start < SECONDS, "took too long"
    try:
        same_elements(table, found)
    except (AssertionError, ValueError, TypeError, pyarrow.ArrowException):
        return "different"
    return "right"


def refused(error, start):
    """An error that names something: no fault of the server, no deadline."""
    assert time.monotonic() - start < SECONDS, f"took too long: {error}"
    assert "internal error" not in str(error).lower().split("client context")[0], f"a fault of the server: {error}"
    assert "timed out" not in str(error).lower() and "unavailable" not in str(error).lower(), str(error)


def look(house, key, arrays):
    """What became of each array of a changed copy."""
    start = time.monotonic()
    try:
        house.register(key)
        house.tree(key)
    except (pyarrow.ArrowException, OSError, KeyError, NotImplementedError) as error:
        refused(error, start)
        return dict.fromkeys(arrays, "error")
    return {name: read(house, key, name, found) for name, found in arrays.items()}


def test_an_enormous_array(house):
    """A file of some kilobytes may hold an array of petabytes: the whole is refused at once, parts are served."""
    key, rows = "enormous.h5", 2**58
    with h5py.File(house.place(key), "w") as file:
        written = file.create_dataset("tall", (rows, 9), "i4", chunks=(8, 4), maxshape=(None, 9), fillvalue=7)
        written[rows - 8 :] = 3
        file.create_dataset("wide", (9, rows), "i4", chunks=(4, 8), maxshape=(9, None), fillvalue=7)[:, -8:] = 3
    house.register(key)
    for node, error, words in (
        ("tall", pyarrow.ArrowInvalid, "select fewer rows"),
        ("wide", NotImplementedError, "more than 2.31 elements"),
    ):
        with pytest.raises(error, match=words):
            house.client.direct({"key": key, "node": node})
    found = house.client.direct({"key": key, "node": "tall", "slice": f"{rows - 10}:"})
    assert decode.array(found).tolist() == [[7] * 9] * 2 + [[3] * 9] * 8
    found = house.client.direct({"key": key, "node": "wide", "slice": f"2:3, {rows - 10}:"})
    assert decode.array(found).tolist() == [[7] * 2 + [3] * 8]
    assert house.server.peak_memory() < MEMORY


@pytest.mark.timeout(600)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_changed_bytes(house, subject):
    original = house.place(f"original/{subject.name}")
    subject.write(original)
    subject.extents = damage.extents(original)
    arrays = nodes(original)
    assert set(look(house, f"original/{subject.name}", arrays).values()) == {"right"}
    process, counted = house.server.process.pid, {"right": 0, "different": 0, "error": 0}
    for number in range(-(-CASES // len(SUBJECTS))):
        chance = random.Random(f"{SEED} {subject.name} {number}")
        key = f"changed/{number}_{subject.name}"
        places = damage.changed_copy(chance, original, house.place(key), subject.extents)
        try:
            for name, outcome in look(house, key, arrays).items():
                counted[outcome] += 1
                allowed = outcome != "different" or damage.may_differ(subject, places, name)
                assert allowed, f"'{name}' differs and no one said so"
        except AssertionError as error:
            raise AssertionError(f"{key}, changed at {places}: {error}") from error
    assert house.server.running and house.server.process.pid == process
    assert house.server.peak_memory() < MEMORY
    assert set(look(house, f"original/{subject.name}", arrays).values()) == {"right"}
    assert counted["error"] > 0 and counted["right"] > 0, counted
    print(subject.name, counted)
