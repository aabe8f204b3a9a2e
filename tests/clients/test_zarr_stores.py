"""zarr stores however they lie: in zip archives, walked level by level, with every codec, dimensions with names."""

import base64
import json
import shutil
import warnings
import zipfile
import zlib

import numpy
import pyarrow
import pyarrow.flight as flight
import pytest
import zarr

import decode
import stack
import zoo
from expect import read_anndata, same_array, same_frame
from test_zoo import same
from wire import Client

FIXTURES = stack.FIXTURES / "zarr_stores"
EXPECTED = json.loads((FIXTURES / "stores.json").read_text())["stores"]
ARRAYS = [(store, node) for store, nodes in EXPECTED.items() for node, entry in nodes.items() if "crc32" in entry]
# A request that fails is sent again for half a minute.
BOUND_SECONDS = 100


def unpacked(name, folder):
    """A packed fixture store as a folder."""
    for path, content in json.loads((FIXTURES / f"{name}.json").read_text()).items():
        target = folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(base64.b64decode(content))
    return folder / name


def zipped(source, target, compression=zipfile.ZIP_STORED, below=""):
    """The files of a folder as an archive."""
    with zipfile.ZipFile(target, "w", compression) as archive:
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            archive.write(file, f"{below}{file.relative_to(source).as_posix()}")
    return target


@pytest.fixture(scope="module")
def stores(site):
    """Every fixture store as a folder and as archives, and the zoo's stores as archives."""
    for name in EXPECTED:
        folder = unpacked(name, site.folder / "stores")
        site.register(f"stores/{name}.zarr", source=folder)
        deflated = zipped(folder, site.folder / f"{name}.zip", zipfile.ZIP_DEFLATED, below="inner/")
        site.register(f"stores/{name}.zip", source=deflated)
    for name, write in {"v2": zoo.zarr_v2, "v3": zoo.zarr_v3}.items():
        write(site.folder / f"zoo_{name}")
        site.register(f"stores/zoo_{name}.zarr.zip", source=zipped(site.folder / f"zoo_{name}", site.folder / f"zoo_{name}.zip"))
    return site


@pytest.fixture(scope="module")
def client(stores):
    client = Client(stores.serve().uri)
    yield client
    client.close()


def test_the_list_is_not_empty():
    assert len(ARRAYS) > 90


@pytest.mark.parametrize("suffix", ["zarr", "zip"])
@pytest.mark.parametrize(("store", "node"), ARRAYS, ids=[f"{store}:{node}" for store, node in ARRAYS])
def test_every_element(client, store, node, suffix):
    """Shape and checksum of all elements are those that zarr-python read when the fixture was made."""
    entry = EXPECTED[store][node]
    found = decode.array(client.get((f"stores/{store}.{suffix}", node)))
    assert list(found.shape) == entry["shape"]
    raw = numpy.ascontiguousarray(found.astype(found.dtype.newbyteorder("<"))).tobytes()
    assert (len(raw), zlib.crc32(raw)) == (entry["bytes"], entry["crc32"])


@pytest.mark.parametrize("name", ["v2", "v3"])
def test_the_zoo_in_an_archive(stores, client, name):
    root = zarr.open_group(stores.folder / f"zoo_{name}", mode="r")
    arrays = {path: node[...] for path, node in root.members(max_depth=None) if isinstance(node, zarr.Array)}
    assert len(arrays) > 20
    for path, expected in arrays.items():
        key = f"stores/zoo_{name}.zarr.zip"
        same(client.get((key, path)), numpy.asarray(expected), path)
        rows = client.get({"key": key, "node": path, "slice": "2:7"})
        same(rows, numpy.asarray(expected)[2:7], path)


ZIPPED = ("zipped/store.zarr.zip", "zipped/packed.zip")


@pytest.fixture(scope="module")
def whole(site):
    """AnnData written by anndata through zarr's ZipStore, and a packed folder of it; gives the data."""
    data = zoo.anndata_columns()
    path = site.folder / "store.zarr.zip"
    with warnings.catch_warnings(action="ignore"), zarr.storage.ZipStore(path, mode="w") as store:
        data.write_zarr(store)  # entries that are written again come twice
    site.register(ZIPPED[0], source=path)
    data.write_zarr(site.folder / "packed.zarr")
    packed = zipped(site.folder / "packed.zarr", site.folder / "packed.zip", zipfile.ZIP_DEFLATED, below="packed.zarr/")
    site.register(ZIPPED[1], source=packed)
    return read_anndata(site.folder / "packed.zarr")


@pytest.fixture(scope="module")
def reader(site, whole):
    client = Client(site.serve().uri)
    yield client
    client.close()


class TestAnndataInAnArchive:
    @pytest.mark.parametrize("key", ZIPPED)
    def test_everything(self, reader, whole, key):
        artifact = reader.action("describe", {"key": key})["artifact"]
        assert artifact["kind"] == "zarr" and artifact["n_observations"] == whole.n_obs
        same_frame(reader.get((key, "obs")), whole.obs)
        same_array(decode.array(reader.get((key, "X"))), whole.X)
        for group in ("layers", "obsm"):
            for name, value in getattr(whole, group).items():
                if not hasattr(value, "columns"):
                    same_array(decode.array(reader.get((key, f"{group}/{name}"))), value)

    @pytest.mark.parametrize("key", ZIPPED)
    def test_rows_of_a_filter(self, reader, whole, key):
        rows = (whole.obs["float"] < 0).to_numpy()
        found = reader.get({"key": key, "node": "X", "obs": {"where": "float < 0"}})
        same_array(decode.array(found), whole.X[rows])

    def test_an_archive_that_changed_is_refused(self, site, reader, whole):
        key = "zipped/changed.zarr.zip"
        site.register(key, source=site.folder / "store.zarr.zip")
        content = bytearray((site.folder / "store.zarr.zip").read_bytes())
        content[40] ^= 1
        site.put(key, bytes(content))
        with pytest.raises(pyarrow.ArrowInvalid, match="changed.zarr.zip"):
            reader.get((key, "X"))


class TestRequests:
    """An archive is one object, read where the rows are; its directory is read once."""

    def test_rows_of_an_archive(self, site):
        values = numpy.random.default_rng(3).standard_normal((4000, 50), dtype="float32")
        path = site.folder / "big.zarr.zip"
        with zarr.storage.ZipStore(path, mode="w") as store:
            group = zarr.open_group(store, mode="w", zarr_format=3)
            group.create_array("values", data=values, chunks=(100, 50), compressors=None)
        key = "zipped/big.zarr.zip"
        site.register(key, source=path)
        client = Client(site.serve().uri)
        for rows, at_most in (([5], 2), ([7], 1), ([250, 3999], 4)):
            site.cloud.reset()
            found = client.direct({"key": key, "node": "values", "axes": [{"index": rows}]})
            same_array(decode.array(found), values[rows])
            entries = [entry for entry in site.cloud.log_entries() if entry["key"] == key]
            assert len(entries) <= at_most, entries
            assert all(entry["method"] == "GET" and entry["if_match"] for entry in entries), entries
            assert sum(end - start for start, end in (entry["range"] for entry in entries)) <= len(rows) * (200 + 200)

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
    def test_neighbouring_entries_share_requests(self, site, compression):
        """Chunks of 1.2 kB that follow each other in the archive are fetched as the chunks of one object are."""
        values = numpy.random.default_rng(4).standard_normal((2000, 30), dtype="float32")
        folder = site.folder / f"neighbours_{compression}"
        group = zarr.open_group(folder, mode="w", zarr_format=3)
        group.create_array("values", data=values, chunks=(10, 30), compressors=zarr.codecs.GzipCodec(level=1))
        zarr.consolidate_metadata(folder)
        key = f"zipped/neighbours_{compression}.zarr.zip"
        path = zipped(folder, site.folder / f"neighbours_{compression}.zip", compression)
        site.register(key, source=path)
        client = Client(site.serve().uri)
        client.action("describe", {"key": key})
        site.cloud.reset()
        same_array(decode.array(client.direct({"key": key, "node": "values"})), values)
        entries = [entry for entry in site.cloud.log_entries() if entry["key"] == key]
        assert len(entries) <= 2, entries
        assert sum(entry["bytes"] for entry in entries) <= path.stat().st_size * 1.1
        site.cloud.reset()
        # Rows of chunks far from each other are not worth the bytes between them.
        rows = [5, 12, 600, 601, 1999]
        client = Client(site.serve(settings='[limits]\nmerge_gap = "4 KiB"\n').uri)
        client.action("describe", {"key": key})
        site.cloud.reset()
        plan = client.action("explain", {"key": key, "node": "values", "axes": [{"index": rows}]})
        same_array(decode.array(client.direct({"key": key, "node": "values", "axes": [{"index": rows}]})), values[rows])
        entries = [entry for entry in site.cloud.log_entries() if entry["key"] == key]
        assert 2 <= len(entries) <= 4 and len(entries) == plan["requests"], (plan, entries)

    def test_a_damaged_entry_among_neighbours_is_named(self, site):
        values = numpy.arange(3000, dtype="i4")
        folder = site.folder / "damaged_neighbours"
        group = zarr.open_group(folder, mode="w", zarr_format=3)
        group.create_array("values", data=values, chunks=(100,), compressors=None)
        content = zipped(folder, site.folder / "damaged_neighbours.zip").read_bytes()
        at = content.index(values[1500:1600].tobytes())
        content = content[:at] + b"\xff" + content[at + 1 :]
        key = "zipped/damaged_neighbours.zarr.zip"
        site.register(key, source=content)
        client = Client(site.serve().uri)
        with pytest.raises(pyarrow.ArrowException, match="values/c/15.*damaged: its checksum"):
            client.direct({"key": key, "node": "values"})
        found = client.direct({"key": key, "node": "values", "slice": "1600:"})
        same_array(decode.array(found), values[1600:])

    def test_a_store_too_large_to_pin_is_walked_without_listing_chunks(self, site):
        """Twenty thousand chunks: the registration lists them to know the version, the open does not."""
        path = site.folder / "many.zarr"
        group = zarr.open_group(path, mode="w", zarr_format=2)
        deep = group.create_group("a").create_group("b")
        array = deep.create_array("many", shape=(20_100,), chunks=(1,), dtype="u1", fill_value=9, compressors=None)
        array[:3] = [1, 2, 3]
        deep.create_array("short", data=numpy.arange(3), chunks=(2,))
        content = (path / "a/b/many/0").read_bytes()
        for index in range(5, 20_050):
            (path / f"a/b/many/{index}").write_bytes(content)
        key = "walked/many.zarr"
        site.put(key, path)
        site.cloud.reset()
        site.register(key)
        entries = [entry for entry in site.cloud.log_entries() if entry["key"].startswith(f"{key}/a")]
        assert not any(entry["method"] == "LIST" and "b/many" in entry["key"] for entry in entries), entries
        listed = sorted(entry["key"].rstrip("/") for entry in entries if entry["method"] == "LIST")
        assert listed == [f"{key}/a", f"{key}/a/b"]
        client = Client(site.serve().uri)
        found = decode.array(client.get({"key": key, "node": "a/b/many", "slice": "0:8"}))
        assert found.tolist() == [1, 2, 3, 9, 9, 1, 1, 1], "what was never written is the fill value"


class TestNotListed:
    """A bucket that must not be listed refuses what does not exist: consolidated stores are read all the same."""

    @pytest.mark.parametrize("version", [2, 3])
    def test_consolidated_store(self, site, version):
        path = site.folder / f"unlisted_{version}.zarr"
        group = zarr.open_group(path, mode="w", zarr_format=version)
        values = numpy.arange(12, dtype="i4").reshape(4, 3)
        group.create_group("g").create_array("a", data=values, chunks=(2, 3))
        zarr.consolidate_metadata(path, zarr_format=version)
        key = f"unlisted/{version}.zarr"
        site.put(key, path)
        try:
            site.cloud.fault("status", status=403, match=key, methods=["LIST"])
            if version == 2:
                site.cloud.fault("status", status=403, match=f"{key}/zarr.json")
            site.register(key)
            client = Client(site.serve().uri)
            same_array(decode.array(client.get((key, "g/a"))), values)
        finally:
            site.cloud.clear_faults()


@pytest.fixture
def missing(site):
    """An unpinned store (one object more than are pinned), a pinned one and an archive; each with a hole."""
    group = zarr.open_group(site.folder / "holes.zarr", mode="w", zarr_format=3)
    array = group.create_array("a", shape=(6,), chunks=(2,), dtype="i4", fill_value=-7, compressors=None)
    array[0:2] = [1, 2]
    array[4:6] = [5, 6]
    site.register("holes/pinned.zarr", source=site.folder / "holes.zarr")
    site.register("holes/archive.zarr.zip", source=zipped(site.folder / "holes.zarr", site.folder / "holes.zip"))
    yield ["holes/pinned.zarr", "holes/archive.zarr.zip"]
    site.cloud.clear_faults()


class TestMissing:
    def test_a_chunk_that_was_never_written_is_the_fill_value(self, site, missing):
        client = Client(site.serve().uri)
        for key in missing:
            assert decode.array(client.get((key, "a"))).tolist() == [1, 2, -7, -7, 5, 6]

    @pytest.mark.parametrize(("status", "error"), [(403, flight.FlightUnauthorizedError), (500, flight.FlightUnavailableError)])
    @pytest.mark.parametrize("which", [0, 1])
    def test_a_store_that_fails_is_an_error(self, site, missing, status, error, which):
        client = Client(site.serve().uri, seconds=BOUND_SECONDS)
        key = missing[which]
        match = f"{key}/a/c/2" if which == 0 else key
        assert client.action("describe", {"key": key})["kind"] == "zarr"
        site.cloud.fault("status", status=status, match=match, methods=["GET"])
        with pytest.raises((error, pyarrow.ArrowException)) as raised:
            client.direct({"key": key, "node": "a"})
        assert "-7" not in str(raised.value)
        assert key in str(raised.value)

    def test_a_local_folder(self, site, missing, tmp_path):
        store = tmp_path / "local.zarr"
        shutil.copytree(site.folder / "holes.zarr", store)
        zipped(store, tmp_path / "local.zarr.zip")
        registry = tmp_path / "local.db"
        for name in ("local.zarr", "local.zarr.zip"):
            stack.command(["register", tmp_path / name, "--key", name, "--registry", registry], site.environment)
        server = stack.Server.start(registry, site.environment, tmp_path / "log")
        try:
            client = Client(server.uri)
            for name in ("local.zarr", "local.zarr.zip"):
                assert decode.array(client.get((name, "a"))).tolist() == [1, 2, -7, -7, 5, 6]
        finally:
            server.stop()


class TestDamagedArchives:
    @pytest.mark.parametrize(
        ("name", "damage", "kind"),
        [
            ("cut.zarr.zip", lambda content: content[:-30], pyarrow.ArrowException),
            ("text.zarr.zip", lambda content: b"nothing of a zip archive", pyarrow.ArrowException),
            ("flipped.zarr.zip", lambda content: content.replace(b"PK\1\2", b"PK\1\3", 1), pyarrow.ArrowException),
        ],
    )
    def test_is_an_error_that_names_it(self, site, name, damage, kind):
        whole = (FIXTURES / "v3.zip").read_bytes()
        site.register(f"damaged/{name}", source=damage(whole))
        client = Client(site.serve().uri)
        with pytest.raises((kind, flight.FlightError), match=name):
            client.get((f"damaged/{name}", "plain"))

    def test_another_archive_is_registered_and_not_read(self, site):
        path = site.folder / "other.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.md", "no zarr")
        site.register("damaged/other.zip", source=path)
        client = Client(site.serve().uri)
        with pytest.raises((NotImplementedError, pyarrow.ArrowNotImplementedError), match=".zip"):
            client.get(("damaged/other.zip", "x"))


class TestDimensionNames:
    @pytest.mark.parametrize("version", [2, 3])
    @pytest.mark.parametrize(
        ("node", "names", "tensor"),
        [
            ("all", ["time", "lat", "lon"], ["lat", "lon"]),
            ("some", ["time", None, "lon"], None),
            ("none", None, None),
        ],
    )
    def test_in_answers(self, client, version, node, names, tensor):
        table = client.get((f"stores/names_v{version}.zarr", node))
        field = table.schema.field(0)
        stored = (field.metadata or {}).get(b"dimension_names")
        assert (stored and json.loads(stored)) == names
        assert field.type.dim_names == tensor

    def test_of_what_is_left(self, client):
        request = {"key": "stores/names_v3.zarr", "node": "all", "slice": "1, :, ::-1", "squeeze": True}
        (field,) = client.get(request).schema
        assert json.loads(field.metadata[b"dimension_names"]) == ["lat", "lon"]

    @pytest.mark.parametrize("version", [2, 3])
    def test_in_listings(self, client, version):
        table = client.get({"key": f"stores/names_v{version}.zarr", "node": ""})
        names = dict(zip(table["path"].to_pylist(), table["dimension_names"].to_pylist(), strict=True))
        assert names == {"all": ["time", "lat", "lon"], "some": ["time", None, "lon"], "none": None}
        tree = client.action("tree", {"key": f"stores/names_v{version}.zarr"})["nodes"]
        assert {node["path"]: node["dimension_names"] for node in tree} == names


@pytest.mark.parametrize("version", [2, 3])
def test_a_new_store_is_looked_at_in_one_round(tmp_path, version):
    """What it is, its listing and its documents are asked for at the same time, and no document twice."""
    store = tmp_path / "buckets" / stack.BUCKET / "new.zarr"
    values = numpy.arange(12, dtype="i4").reshape(3, 4)
    group = zarr.open_group(store, mode="w", zarr_format=version)
    group.create_array("values", data=values, chunks=(3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(store, zarr_format=version)
    log = tmp_path / "log"
    with stack.Cloud.start(tmp_path / "buckets", log, "--latency-ms", "300") as cloud:
        root = ("--storage", f"s3://{stack.BUCKET}")
        with stack.Server.start(tmp_path / "r.db", cloud.environment(), log, *root) as server:
            client = Client(server.uri)
            request = {"url": f"s3://{stack.BUCKET}/new.zarr", "node": "values"}
            assert decode.array(client.direct(request)).tolist() == values.tolist()
            entries, stats = cloud.log_entries(), cloud.stats()
    # The object, the listing, both documents that may tell all of a store; then the only chunk.
    assert (len(entries), stats["max_in_flight"]) == (5, 4), entries
