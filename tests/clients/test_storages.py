"""Every kind of storage gives the same answers as a local folder, and says the same when something is wrong."""

import os
import time

import pyarrow
import pyarrow.flight as flight
import pytest

import azurite
import stack
from stand_ins import StandIn, Web
from storages import MAKERS, SECRET
from wire import Client

FILES = stack.NOTEBOOK
H5AD, STORE, SHARDS = "pbmc 68k+.h5ad", "store.zarr", "sharded_parquet"
SMALL_SHARD = stack.shard_key(0)
SELECTION = {"node": "X", "obs": {"where": "percent_mito <= 0.02"}, "var": {"slice": {"start": 10, "stop": 30}}}
PATIENCE = "[retry]\nattempts = 3\ninitial_backoff = '5ms'\nmax_backoff = '20ms'\nrequest_timeout = '10s'\n"


def fill(place):
    """Puts the same files into every place."""
    place.put(H5AD, (FILES / "pbmc68k.h5ad").read_bytes())
    place.put_folder(STORE, FILES / "variants_v2.zarr")
    place.put_folder(SHARDS, FILES / "sharded_parquet")
    place.commit()


class World:
    """All places, a server that may read them, and one whose credentials are wrong."""

    def __init__(self, folder):
        self.folder = folder
        absent = azurite.missing()
        if absent and os.environ.get("REQUIRE_AZURITE"):
            raise RuntimeError(absent)
        self.absent = {"az": absent} if absent else {}
        self.places = {name: make(folder) for name, make in MAKERS.items() if name not in self.absent}
        for place in self.places.values():
            fill(place)
        local = f'[[storage]]\nroot = "{FILES}"\n'
        self.server = self.serve("right", local + "".join(place.settings() for place in self.places.values()))
        self.wrong = self.serve("wrong", "".join(place.settings(**place.wrong) for place in self.places.values()))
        self.client, self.refused = Client(self.server.uri), Client(self.wrong.uri)

    def serve(self, name, settings):
        path = self.folder / f"{name}.toml"
        path.write_text(f"allow_register = true\n{PATIENCE}\n{settings}")
        log = self.folder / f"{name}.log"
        log.touch()
        return stack.Server.start(self.folder / f"{name}.db", stack.bare_environment(), log, "--config", str(path))

    def place(self, name):
        if name in self.absent:
            pytest.skip(self.absent[name])
        place = self.places[name]
        place.reset()
        return place

    def stop(self):
        for running in (self.server, self.wrong, *self.places.values()):
            running.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("storages"))
    yield world
    world.stop()


@pytest.fixture(params=MAKERS)
def place(request, world):
    """One storage after the other."""
    return world.place(request.param)


def url_of(place, path):
    """The URL of a file; that of a web server is encoded."""
    return f"{place.root}/{path.replace(' ', '%20') if place.root.startswith('http') else path}"


def registered(world, place, path, key=None):
    """Registers a file or folder of a place; gives its key."""
    key = key or f"{place.name}/{path}"
    world.client.action("register", {"url": url_of(place, path), "key": key})
    return key


def local(world, path):
    """The key of the same thing in a local folder."""
    key = f"local/{path}"
    world.client.action("register", {"url": (FILES / path).as_uri(), "key": key})
    return key


def same(found, expected):
    """The same rows; what the schema tells of the source differs."""
    assert found.schema.equals(expected.schema) and found.num_rows > 0
    assert found.equals(expected)


class TestAnswers:
    """What comes is what comes from a local folder."""

    def test_h5ad(self, world, place):
        key, other = registered(world, place, H5AD), local(world, "pbmc68k.h5ad")
        same(world.client.get(SELECTION | {"key": key}), world.client.get(SELECTION | {"key": other}))
        same(world.client.get((key, "obs")), world.client.get((other, "obs")))

    def test_zarr(self, world, place):
        key, other = registered(world, place, STORE), local(world, "variants_v2.zarr")
        for node in ("X", "obsm/X_umap", "obs"):
            same(world.client.get((key, node)), world.client.get((other, node)))

    def test_folder_of_parquet(self, world, place):
        if not place.lists:
            with pytest.raises(pyarrow.ArrowKeyError, match=SHARDS):
                registered(world, place, SHARDS)
            return
        key, other = registered(world, place, SHARDS), local(world, SHARDS)
        same(world.client.get((key,)), world.client.get((other,)))

    def test_file_of_parquet(self, world, place):
        key, other = registered(world, place, SMALL_SHARD), local(world, SMALL_SHARD)
        where = {"columns": ["cell_type"], "where": "n_genes > 1000"}
        same(world.client.get(where | {"key": key}), world.client.get(where | {"key": other}))

    def test_url_without_registration(self, world, place):
        found = world.client.get(SELECTION | {"url": url_of(place, H5AD)})
        same(found, world.client.get(SELECTION | {"key": local(world, "pbmc68k.h5ad")}))


class TestVersions:
    """A changed object is refused; a commit is read for ever."""

    def test_changed_object(self, world, place):
        path = "changing.h5ad"
        place.put(path, (FILES / "pbmc68k.h5ad").read_bytes())
        key = registered(world, place, path)
        before = world.client.get(SELECTION | {"key": key})
        content = bytearray((FILES / "pbmc68k.h5ad").read_bytes())
        size_only = place.name == "http-size"
        content[len(content) // 2] ^= 1
        place.put(path, bytes(content) + (b"?" if size_only else b""))
        asked = {"key": key, "node": "X", "obs": {"slice": {"start": 0, "stop": 70}}}
        if place.keeps:
            same(world.client.get(SELECTION | {"key": key}), before)
            assert world.client.get(asked).num_rows == 70
            registered(world, place, path)
            now = world.client.get(asked)
            assert now.schema.metadata[b"sliceflight.etag"] != before.schema.metadata[b"sliceflight.etag"]
            return
        with pytest.raises(pyarrow.ArrowInvalid, match=f"{path}.*changed|{path}.*expected .* bytes"):
            world.client.get(asked)

    def test_changed_shard(self, world, place):
        if not place.lists or place.keeps:
            pytest.skip("no listing, or a commit that cannot change")
        place.put_folder("shards", FILES / "sharded_parquet")
        key = registered(world, place, "shards")
        path = SMALL_SHARD.replace(SHARDS, "shards")
        place.put(path, (FILES / SMALL_SHARD).read_bytes() + b" ")
        with pytest.raises(pyarrow.ArrowInvalid, match="louvain=0"):
            world.client.get((key,))

    def test_how_it_is_pinned_is_said(self, world, place):
        key = registered(world, place, H5AD)
        tag = world.client.get((key, "obs")).schema.metadata[b"sliceflight.etag"].decode()
        expected = {"http-modified": "last-modified: ", "http-whole": "last-modified: ", "http-size": "size: "}
        if place.name == "hf":
            assert len(tag) == 64 + 1 + 40 and tag[64] == "@", "the SHA-256 and the commit"
        else:
            assert tag.startswith(expected.get(place.name, '"')), tag


class TestErrors:
    """What is wrong is said with the URL and without secrets."""

    def test_missing(self, world, place):
        with pytest.raises(pyarrow.ArrowKeyError, match="nothing.h5ad") as caught:
            registered(world, place, "nothing.h5ad")
        assert "sesame" not in str(caught.value)

    def test_denied(self, world, place):
        with pytest.raises(flight.FlightUnauthorizedError, match="refuses access") as caught:
            world.refused.get({"url": url_of(place, H5AD), "node": "obs"})
        text = str(caught.value)
        assert place.root in text and not any(word in text for word in (SECRET, "sesame", "secret"))

    def test_outside(self, world, place):
        beside = place.root.rsplit("/", 1)[0] + "/elsewhere/x.h5ad"
        above = f"{place.root}/../elsewhere/x.h5ad"
        for url in (beside, above, above.replace("..", "%2e%2e"), f"{place.root}/a%2f..%2f..%2fx.h5ad"):
            before = place.requests()
            with pytest.raises(flight.FlightUnauthorizedError):
                world.client.get({"url": url, "node": "obs"})
            assert place.requests() == before, "the store was not asked"

    def test_failing_for_a_while(self, world, place):
        place.put("failing.h5ad", (FILES / "pbmc68k.h5ad").read_bytes())
        place.reset()
        if not place.fail(503, 3):
            pytest.skip("nobody can make it fail")
        found = world.client.get(SELECTION | {"url": url_of(place, "failing.h5ad")})
        assert found.num_rows > 0 and place.requests() > 3

    def test_failing_for_good(self, world, place):
        place.put("failed.h5ad", (FILES / "pbmc68k.h5ad").read_bytes())
        place.reset()
        if not place.fail(503, 1000):
            pytest.skip("nobody can make it fail")
        with pytest.raises(flight.FlightUnavailableError, match="in 4 attempts.*status 503") as caught:
            world.client.get({"url": url_of(place, "failed.h5ad"), "node": "obs"})
        assert place.root in str(caught.value)
        # The beginning and, where a store tells the last bytes of what is not known yet, the end at the same time.
        assert 4 <= place.requests() <= 8
        place.reset()


class TestWeb:
    """What only web servers do."""

    def test_large_object_without_ranges(self, world):
        place = world.place("http-whole")
        place.put("large.h5ad", (FILES / "pbmc68k.h5ad").read_bytes() + bytes(9 << 20))
        place.reset()
        started = time.monotonic()
        with pytest.raises(pyarrow.ArrowNotImplementedError, match="large.h5ad.*whole_object_bytes"):
            world.client.get({"url": url_of(place, "large.h5ad"), "node": "obs"})
        assert time.monotonic() - started < 20

    def test_redirects(self, world):
        """To another host only where the options name it, to link-local addresses never."""
        place, other = world.place("http-etag"), world.place("http-modified")
        leads = {"/in/away.h5ad": f"{other.root}/x.h5ad", "/in/cloud.h5ad": "http://169.254.169.254/latest/sesame"}
        place.server.settings["redirects"] = leads
        for path in ("away.h5ad", "cloud.h5ad"):
            with pytest.raises(flight.FlightUnauthorizedError, match="redirects to") as caught:
                world.client.get({"url": url_of(place, path), "node": "obs"})
            assert "sesame" not in str(caught.value)
        assert other.requests() == 0


class TestCommandLine:
    """`sliceflight register` adds the root of a URL that lies in none."""

    def test_web_server(self, tmp_path):
        server = StandIn(Web, FILES, tags="modified", ranges=False)
        try:
            words = ["--registry", tmp_path / "web.db"]
            urls = [f"{server.url}/pbmc68k.h5ad", f"{server.url}/variants_v3.zarr"]
            stack.command(["register", *urls, *words], stack.bare_environment())
            found = stack.command(["get", "pbmc68k.h5ad", "obs", *words], stack.bare_environment())
            assert "GCAGGGCTGGATTC-1" in found.stdout
            found = stack.command(["get", "variants_v3.zarr", "obs", *words], stack.bare_environment())
            assert "AAAGCCTGGCTAAC-1" in found.stdout
        finally:
            server.stop()


class TestLocal:
    """A local root is not left by links."""

    def test_links_and_paths(self, world, tmp_path):
        inside = tmp_path / "inside"
        inside.mkdir()
        (tmp_path / "outside.h5ad").write_bytes((FILES / "pbmc68k.h5ad").read_bytes())
        (inside / "link.h5ad").symlink_to(tmp_path / "outside.h5ad")
        (inside / "folder").symlink_to(tmp_path)
        server = world.serve("links", f'[[storage]]\nroot = "{inside}"\n')
        try:
            client = Client(server.uri)
            for path in ("link.h5ad", "folder/outside.h5ad", "../outside.h5ad", "%2e%2e/outside.h5ad", "a%2f..%2f..%2fx"):
                with pytest.raises(flight.FlightUnauthorizedError):
                    client.get({"url": f"{inside.as_uri()}/{path}", "node": "obs"})
        finally:
            server.stop()


def test_nothing_secret_is_logged(world):
    """After all of the above."""
    for name in ("right", "wrong"):
        text = (world.folder / f"{name}.log").read_text()
        assert not any(word in text for word in (SECRET, "sesame", "secret-signature", "secret-detail", azurite.KEY))
