"""Groups and arrays of plain HDF5 files and zarr stores: the elements against h5py and zarr, the indexing
against NumPy."""

import h5py
import hypothesis
import numpy
import pytest
import zarr
from hypothesis import strategies

import sliceflight as sf
import zoo

FILES = {"zoo_earliest.h5": ("earliest", zoo.hdf5), "zoo_latest.h5": ("latest", zoo.hdf5)}
STORES = {"zoo_v2.zarr": zoo.zarr_v2, "zoo_v3.zarr": zoo.zarr_v3}


@pytest.fixture(scope="module")
def opened(notebook, tmp_path_factory):
    """The accessor and the reference's root of each file of the zoo."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, (libver, make) in FILES.items():
        make(folder / name, libver)
    for name, make in STORES.items():
        make(folder / name)
    references = {name: h5py.File(folder / name) for name in FILES}
    references |= {name: zarr.open_group(folder / name, mode="r") for name in STORES}
    for name in references:
        notebook.register(name, source=folder / name)
    with sf.connect(notebook.serve().uri, timeout=60) as ln:
        yield {name: (ln.Artifact.get(key=name).open(), reference) for name, reference in references.items()}
    for name in FILES:
        references[name].close()


def arrays_of(group, path=""):
    """Paths of all arrays below a group of h5py or zarr."""
    for name in group:
        below = f"{path}/{name}" if path else name
        if hasattr(group[name], "dtype"):
            yield below
        else:
            yield from arrays_of(group[name], below)


def plain(value):
    """What the reference gives, with texts as str and byte order of the machine."""
    value = numpy.asarray(value)
    if value.dtype.kind in "OSUT":
        texts = [text.decode() if isinstance(text, bytes) else text for text in value.ravel().tolist()]
        return numpy.array([*texts, None], dtype=object)[:-1].reshape(value.shape)
    return value.astype(value.dtype.newbyteorder("="))


class TestElements:
    """Every array of the zoo, whole."""

    @pytest.mark.parametrize("name", [*FILES, *STORES])
    def test_every_array(self, opened, name):
        found, reference = opened[name]
        paths = list(arrays_of(reference))
        assert len(paths) > 20
        for path in paths:
            array, expected = found[path], plain(reference[path][...])
            assert array.shape == expected.shape, path
            if path.startswith("compound"):
                continue
            value = array[...]
            assert isinstance(value, numpy.ndarray) and value.dtype == expected.dtype, path
            numpy.testing.assert_array_equal(value, expected, err_msg=path)
            assert array.dtype == expected.dtype, path

    @pytest.mark.parametrize("name", FILES)
    def test_compounds(self, opened, name):
        found, reference = opened[name]
        for path in ("compound/contiguous", "compound/chunked"):
            value, expected = found[path][3:9:2], reference[path][3:9:2]
            for field in ("a", "b", "pair"):
                numpy.testing.assert_array_equal(value[field], expected[field])
            assert value["name"].tolist() == [text.decode() for text in expected["name"]]
            assert found[path]["a"].tolist() == reference[path]["a"].tolist()

    @pytest.mark.parametrize("name", [*FILES, *STORES])
    def test_groups(self, opened, name):
        found, reference = opened[name]
        assert sorted(found) == sorted(found.storage) == sorted(reference)
        first = sorted(reference)[0]
        assert first in found.storage and "nope" not in found.storage
        with pytest.raises(KeyError, match="nope"):
            found["nope"]
        if name in FILES:
            inner = found["layout"]
            assert sorted(inner) == sorted(reference["layout"])
            assert inner["/layout/three"].shape == inner["three"].shape == (7, 6, 5)
            assert inner["three"].chunks == reference["layout/three"].chunks == (3, 4, 2)
            assert found["layout/compact"].chunks is None

    def test_printed(self, opened):
        found, reference = opened["zoo_latest.h5"]
        assert repr(found.storage) == '<HDF5 file "zoo_latest.h5" (mode r)>'
        assert repr(found["layout"]) == repr(reference["layout"])
        assert repr(found["layout/three"]) == repr(reference["layout/three"])
        text = found["layout"].tree_text()
        assert text.startswith("/layout\n├── compact (5, 3) int16\n├── empty (0, 4) float32\n"), text
        assert text.endswith("└── three (7, 6, 5) float32")

    def test_a_group_in_memory(self, opened):
        found, reference = opened["zoo_latest.h5"]
        value = found["layout"].read()
        assert sorted(value) == sorted(reference["layout"])
        numpy.testing.assert_array_equal(value["three"], reference["layout/three"][...])


@strategies.composite
def an_index(draw, shape):
    """Any NumPy index of an array of this shape: parts for some first and, behind an ellipsis, some last axes."""
    first = draw(strategies.integers(0, len(shape)))
    last = draw(strategies.integers(0, len(shape) - first))
    parts = [draw(a_part(length)) for length in shape[:first]]
    if last or draw(strategies.booleans()):
        parts += [..., *(draw(a_part(length)) for length in shape[len(shape) - last :])]
    if draw(strategies.integers(0, 5)) == 0:
        parts.insert(draw(strategies.integers(0, len(parts))), None)
    return tuple(parts)


@strategies.composite
def a_part(draw, length):
    ends = strategies.none() | strategies.integers(-length - 2, length + 2)
    steps = strategies.none() | strategies.integers(-4, 4).filter(bool)
    place = strategies.integers(-length, length - 1)
    lists = strategies.lists(place, min_size=3, max_size=3).map(lambda places: numpy.array(places, dtype=int))
    return draw(strategies.builds(slice, ends, ends, steps) | place | lists)


class TestIndexing:
    """NumPy's indexing, whatever of it the server does."""

    @pytest.fixture(autouse=True)
    def numbers(self, opened):
        found, reference = opened["zoo_latest.h5"]
        self.lazy, self.memory = found["layout/three"], reference["layout/three"][...]

    @hypothesis.settings(max_examples=120, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(index=an_index((7, 6, 5)))
    def test_random(self, index):
        expected = self.memory[index]
        found = self.lazy[index]
        assert numpy.shape(found) == expected.shape, index
        numpy.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize(
        "index",
        [
            (),
            ...,
            -1,
            (0, 1, 2),
            (slice(None), [1, 3, 5]),
            ([4, 0, 0], slice(1, 3), [1, 2, 4]),
            (0, slice(None), [1, 2]),
            (slice(None), 0, [1, 2]),
            ([[0, 1], [2, 3]], 1),
            [True, False] * 3 + [True],
            (slice(None), numpy.arange(6) % 2 == 0, numpy.array([True, False, True, True, False])),
            ([], slice(2)),
            (slice(3, 3), ...),
            (None, 2, ..., None),
            numpy.int64(3),
            numpy.array(2),
        ],
    )
    def test_rows_of_numpy(self, index):
        numpy.testing.assert_array_equal(self.lazy[index], self.memory[index])

    def test_masks_of_several_axes(self):
        for axes in (1, 2, 3):
            mask = numpy.random.default_rng(axes).random(self.memory.shape[:axes]) < 0.3
            numpy.testing.assert_array_equal(self.lazy[mask], self.memory[mask])
        mask = numpy.random.default_rng(9).random((6, 5)) < 0.3
        numpy.testing.assert_array_equal(self.lazy[..., mask], self.memory[..., mask])
        numpy.testing.assert_array_equal(self.lazy[2, mask], self.memory[2, mask])

    @pytest.mark.parametrize(
        "index", [7, -8, (0, 6), [7], (0, 0, 0, 0), (..., ...), numpy.ones(6, bool), "x", 1.5, [0.5]]
    )
    def test_what_does_not_fit(self, index):
        with pytest.raises(IndexError):
            self.memory[index]
        with pytest.raises(IndexError):
            self.lazy[index]

    def test_as_an_array(self):
        numpy.testing.assert_array_equal(numpy.asarray(self.lazy), self.memory)
        assert (len(self.lazy), self.lazy.ndim, self.lazy.size, self.lazy.nbytes) == (7, 3, 210, 840)
        assert [row.tolist() for row in self.lazy] == self.memory.tolist()

    def test_only_what_is_asked_for_is_fetched(self):
        from sliceflight.array import Plan

        plan = Plan((slice(1, 5, 2), [4, 1], -1), (7, 6, 5))
        assert plan.selectors() == [
            [{"slice": {"start": 1, "stop": 4, "step": 2}}],
            [{"slice": {"start": 4, "stop": 0, "step": -3}}],
            [{"slice": {"start": 4, "stop": 5}}],
        ]

    def test_lists_that_meet_in_too_many_elements(self):
        from sliceflight.array import Plan

        many = numpy.arange(10_000)
        with pytest.raises(ValueError, match="100000000 elements"):
            Plan((many, many), (10_000, 10_000))


class TestSelectors:
    """How positions are written: whichever is shortest."""

    @pytest.mark.parametrize(
        ("positions", "length", "expected"),
        [
            (range(10), 10, []),
            (range(2, 9), 10, [{"slice": {"start": 2, "stop": 9}}]),
            (range(9, -1, -1), 10, [{"slice": {"start": 9, "step": -1}}]),
            (range(9, 2, -3), 10, [{"slice": {"start": 9, "stop": 2, "step": -3}}]),
            (range(0), 10, [{"slice": {"stop": 0}}]),
            (numpy.array([3, 5, 7]), 10, [{"slice": {"start": 3, "stop": 8, "step": 2}}]),
            (numpy.array([5, 5]), 10, [{"index": [5, 5]}]),
            (numpy.array([9, 1, 5]), 10, [{"index": [9, 1, 5]}]),
            (numpy.array([1, 2, 900]), 1000, [{"index": [1, 2, 900]}]),
        ],
    )
    def test_forms(self, positions, length, expected):
        from sliceflight.selection import encoded

        assert encoded(positions, length) == expected

    def test_a_mask_of_many(self):
        from sliceflight.selection import encoded

        places = numpy.flatnonzero(numpy.random.default_rng(3).random(1003) < 0.5)
        (selector,) = encoded(places, 1003)
        import base64

        bits = numpy.frombuffer(base64.b64decode(selector["mask"]["bits"]), numpy.uint8)
        assert selector["mask"]["length"] == 1003
        assert numpy.flatnonzero(numpy.unpackbits(bits, bitorder="little")[:1003]).tolist() == places.tolist()
