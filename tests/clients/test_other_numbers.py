"""Numbers of HDF5 files that neither numpy nor Arrow has, against what libhdf5 converts them to."""

import h5py
import numpy
import pytest

import decode
from expect import same_array
from test_bad_input import UNIMPLEMENTED
from wire import Client

LENGTH = 50


def integer(size, signed=True, big=False, precision=None, offset=0):
    kind = {(True, False): h5py.h5t.STD_I64LE, (True, True): h5py.h5t.STD_I64BE}.get((signed, big))
    kind = (kind or (h5py.h5t.STD_U64BE if big else h5py.h5t.STD_U64LE)).copy()
    kind.set_precision(precision or size * 8)
    kind.set_offset(offset)
    kind.set_size(size)
    return kind


def floating(size, exponent, mantissa, big=False):
    """A float with its parts as in IEEE 754: sign, exponent, mantissa from the highest bit on."""
    kind = (h5py.h5t.IEEE_F64BE if big else h5py.h5t.IEEE_F64LE).copy()
    kind.set_fields(exponent + mantissa, mantissa, exponent, 0, mantissa)
    kind.set_precision(size * 8)
    kind.set_size(size)
    kind.set_ebias(2 ** (exponent - 1) - 1)
    return kind


# Name: stored type, the type it is served as.
NUMBERS = {
    "i3": (integer(3), "i4"),
    "i3_big": (integer(3, big=True), "i4"),
    "u3": (integer(3, signed=False), "u4"),
    "i5": (integer(5), "i8"),
    "i6_big": (integer(6, big=True), "i8"),
    "u7": (integer(7, signed=False), "u8"),
    "i6_of_40_bits": (integer(6, precision=40, offset=5), "i8"),
    "bfloat16": (floating(2, 8, 7), "f4"),
    "bfloat16_big": (floating(2, 8, 7, big=True), "f4"),
    "float24": (floating(3, 8, 15), "f4"),
    "wide16": (floating(2, 9, 6), "f8"),
    "float48": (floating(6, 11, 36), "f8"),
}
LAYOUTS = {
    "plain": lambda properties: None,
    "gzip": lambda properties: (properties.set_chunk((8,)), properties.set_shuffle(), properties.set_deflate(3)),
    "filled": lambda properties: (properties.set_chunk((7,)), properties.set_fill_value(numpy.array(5))),
}


def values(kind):
    chance = numpy.random.default_rng(16)
    if kind.startswith("f"):
        special = [0, -0.0, numpy.inf, -numpy.inf, numpy.nan, 1e-40, -3e-39, 2.5, 1 / 3]
        return numpy.concatenate([special, chance.normal(0, 1e6, LENGTH - len(special))]).astype(kind)
    low = 0 if kind.startswith("u") else -(2**23)
    return chance.integers(low, 2**23, LENGTH).astype(kind)


def create(file, name, stored, kind, layout):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    LAYOUTS[layout](properties)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    space = h5py.h5s.create_simple((LENGTH,))
    dataset = h5py.h5d.create(file.id, f"{layout}/{name}".encode(), stored, space, properties, links)
    data = values(kind)
    if layout == "filled":
        memory = h5py.h5s.create_simple((3,))
        space.select_hyperslab((20,), (3,))
        dataset.write(memory, space, data[:3].copy())
    else:
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def converted(file, path, kind):
    """The elements as libhdf5 gives them in the wider type."""
    found = numpy.zeros(LENGTH, kind)
    h5py.h5d.open(file.id, path.encode()).read(h5py.h5s.ALL, h5py.h5s.ALL, found)
    return found


@pytest.fixture(scope="module")
def opened(site):
    path = site.folder / "numbers.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for name, (stored, kind) in NUMBERS.items():
            for layout in LAYOUTS:
                create(file, name, stored, kind, layout)
            attribute = h5py.h5a.create(file["plain"].id, name.encode(), stored, h5py.h5s.create(h5py.h5s.SCALAR))
            attribute.write(numpy.array(77, kind))
        byte = floating(1, 4, 3)
        h5py.h5d.create(file.id, b"byte", byte, h5py.h5s.create_simple((3,)))
        h5py.h5d.create(file.id, b"nested", h5py.h5t.array_create(integer(3), (2,)), h5py.h5s.create_simple((3,)))
    site.register("numbers.h5", source=path)
    client = Client(site.serve().uri)
    with h5py.File(path) as file:
        yield client, file
    client.close()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_those_of_libhdf5(opened, name, layout):
    client, file = opened
    expected = converted(file, f"{layout}/{name}", NUMBERS[name][1])
    request = {"key": "numbers.h5", "node": f"{layout}/{name}"}
    same_array(decode.array(client.get(request)), expected)
    same_array(decode.array(client.get(request | {"slice": "40:3:-7"})), expected[40:3:-7])


def test_attributes_have_their_values(opened):
    client, _ = opened
    listed = {node["path"]: node for node in client.action("tree", {"key": "numbers.h5"})["nodes"]}
    assert listed["plain"]["attributes"] == dict.fromkeys(NUMBERS, 77)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("byte", "float of 1 bytes with 4 exponent and 3 mantissa bits"),
        ("nested", "integer of 24 bits at bit 0 of 3 bytes in another type"),
    ],
)
def test_what_is_not_known_is_refused(opened, node, reason):
    client, _ = opened
    with pytest.raises(UNIMPLEMENTED, match=reason):
        client.get({"key": "numbers.h5", "node": node})
