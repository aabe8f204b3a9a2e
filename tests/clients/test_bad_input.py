"""Bad input gives the right error, which names the thing, and the server answers the next request (item 7)."""

import json
import time

import pyarrow
import pyarrow.flight as flight
import pytest

import decode
import stack
from conftest import PBMC
from expect import read_anndata, same_array
from wire import Client

# What pyarrow makes of the gRPC codes.
NOT_FOUND = KeyError
INVALID = pyarrow.ArrowInvalid  # INVALID_ARGUMENT, OUT_OF_RANGE, FAILED_PRECONDITION, RESOURCE_EXHAUSTED
UNIMPLEMENTED = pyarrow.ArrowNotImplementedError
UNAVAILABLE = flight.FlightUnavailableError
DENIED = flight.FlightUnauthorizedError
DATA_LOSS = (OSError, flight.FlightInternalError)

BOUND_SECONDS = 90


@pytest.fixture(scope="module")
def whole():
    return read_anndata(stack.NOTEBOOK / "pbmc68k.h5ad")


@pytest.fixture(autouse=True)
def answers_the_next_request(request):
    """After each test that used the server, the server still gives the right rows."""
    used = "client" in request.fixturenames
    client, whole = (request.getfixturevalue(name) if used else None for name in ("client", "whole"))
    yield
    if used:
        found = client.get({"key": PBMC, "node": "X", "obs": {"index": [3, 1]}})
        same_array(decode.array(found), whole.X[[3, 1]])


def x(**fields):
    """A request for X of the notebook's file."""
    return {"key": PBMC, "node": "X", **fields}


NAMED = [
    ("unknown key", {"key": "lndb-storage/pbmc86k.h5ad", "node": "X"}, NOT_FOUND, ["pbmc86k.h5ad", PBMC]),
    ("unknown uid", {"uid": "zzzzzzzzzzzzzzzz0000"}, NOT_FOUND, ["zzzzzzzzzzzzzzzz0000"]),
    ("unknown collection", {"collection": "sharded_parquet_colection"}, NOT_FOUND, ["sharded_parquet_colection"]),
    ("unknown version", {"key": PBMC, "version": "7"}, NOT_FOUND, ["7"]),
    ("unknown node", {"key": PBMC, "node": "obsm/X_tsne"}, NOT_FOUND, ["X_tsne", "X_umap"]),
    ("unknown column of obs", {"key": PBMC, "node": "obs", "columns": ["cell_tpye"]}, NOT_FOUND, ["cell_tpye"]),
    ("unknown column of a table", {"key": "sharded_parquet", "columns": ["louvian"]}, NOT_FOUND, ["louvian"]),
    ("unknown column in with_obs", x(with_obs=["cell_tpye"]), NOT_FOUND, ["cell_tpye"]),
    ("unknown column in where", x(obs={"where": "cell_tpye = 'CD34+'"}), (NOT_FOUND, INVALID), ["cell_tpye"]),
    ("unknown cell name", x(obs={"names": ["nope-1"]}), NOT_FOUND, ["nope-1"]),
    ("unknown gene name", x(var={"names": ["HES4", "NOPE4"]}), NOT_FOUND, ["NOPE4"]),
    ("index too large", x(obs={"index": [0, 70]}), INVALID, ["70"]),
    ("index too small", x(obs={"index": [-71]}), INVALID, ["-71", "70"]),
    ("integer too large", x(var={"integer": 765}), INVALID, ["765"]),
    ("integer in the NumPy spelling", x(slice="70"), INVALID, ["70"]),
    ("step of zero", x(obs={"slice": {"step": 0}}), INVALID, ["step"]),
    ("mask of the wrong length", x(obs={"mask": [True] * 69}), INVALID, ["69", "70"]),
    ("where that does not parse", x(obs={"where": "percent_mito <="}), INVALID, ["percent_mito <="]),
    ("where that is not boolean", x(obs={"where": "n_genes + 1"}), INVALID, ["n_genes + 1", "Boolean"]),
    ("where with a statement", x(obs={"where": "true; DROP TABLE artifact"}), INVALID, []),
    ("where with a subquery", x(obs={"where": "n_genes IN (SELECT 1)"}), (INVALID, UNIMPLEMENTED), []),
    ("where on a table that is not boolean", {"key": "sharded_parquet", "where": "n_genes"}, INVALID, ["Boolean"]),
    ("where on a table that does not parse", {"key": "sharded_parquet", "where": "n_genes >>>= 1"}, INVALID, []),
    ("too many axes", {"key": PBMC, "node": "X", "slice": "1,2,3"}, INVALID, ["3", "2"]),
    ("too many axes of 1-D", {"key": "lndb-storage/testfile.hdf5", "node": "mydataset", "slice": ":,:"}, INVALID, []),
    ("NumPy spelling that is none", x(slice="0:10:x"), INVALID, ["x"]),
    ("obs and axes together", x(obs={"all": True}, axes=[{"all": True}]), INVALID, ["axes"]),
    ("obs of a plain array", {"key": "lndb-storage/testfile.hdf5", "node": "mydataset", "obs": {"where": "true"}},
     (INVALID, NOT_FOUND), []),
    ("selector of two kinds", x(obs={"all": True, "index": [1]}), INVALID, ["obs"]),
    ("unknown field", x(colums=["a"]), INVALID, ["colums"]),
    ("unknown layout", x(layout="tall"), INVALID, ["tall"]),
    ("field of the wrong type", x(limit="many"), INVALID, ["limit"]),
    ("two sources", {"key": PBMC, "uid": "abc", "node": "X"}, INVALID, ["source"]),
    ("no source", {"node": "X"}, (INVALID, NOT_FOUND), []),
]


@pytest.mark.parametrize("way", ["info", "ticket"])
@pytest.mark.parametrize(("request_", "error", "words"), [row[1:] for row in NAMED], ids=[row[0] for row in NAMED])
def test_named_error(client, way, request_, error, words):
    with pytest.raises(error) as caught:
        client.info(request_) if way == "info" else client.direct(request_)
    assert not isinstance(caught.value, flight.FlightInternalError), f"internal: {caught.value}"
    for word in words:
        assert word in str(caught.value)


MALFORMED = {
    "broken JSON": b'{"key": "lndb-storage/pbmc68k.h5ad", ',
    "JSON that is not an object": b'["lndb-storage/pbmc68k.h5ad"]',
    "JSON twice": b'{"key": "a"} {"key": "b"}',
    "field given twice": b'{"key": "a", "key": "b"}',
    "deep JSON": b'{"obs": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "text": b"obs",
    "not UTF-8": b'{"key": "\xff\xfe"}',
    "truncated protobuf": b"\x0a\x20lndb",
    "protobuf of a wrong wire type": b"\x0d\x01\x02\x03\x04",
    "endless varint": b"\x08" + b"\xff" * 11,
    "broken ticket of the server": b"SFT1\x0a\xff\xff\xff\xff\x0f",
    "nothing": b"",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_ticket(client, body):
    with pytest.raises((INVALID, NOT_FOUND)) as caught:
        client.reader(flight.Ticket(body)).read_all()
    assert not isinstance(caught.value, flight.FlightInternalError)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_command(client, body):
    with pytest.raises((INVALID, NOT_FOUND, UNIMPLEMENTED)) as caught:
        client.info(body)
    assert not isinstance(caught.value, flight.FlightInternalError)


def test_huge_ticket_is_refused(client):
    """Far above the documented limit: refused, and not by a broken connection."""
    names = json.dumps({"key": PBMC, "obs": {"names": ["n" * 1000] * 40_000}}).encode()
    with pytest.raises(INVALID):
        client.reader(flight.Ticket(names)).read_all()


@pytest.mark.parametrize("name", ["describe", "tree", "explain", "search"])
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"nope": 1}'], ids=["broken", "no object", "unknown field"])
def test_malformed_action(client, name, body):
    with pytest.raises(INVALID):
        list(client.flight.do_action(flight.Action(name, body), client.options))


def test_unknown_action(client):
    with pytest.raises((UNIMPLEMENTED, INVALID, NOT_FOUND), match="no_such_action"):
        client.action("no_such_action")


def test_malformed_criteria(client):
    with pytest.raises(INVALID):
        list(client.flight.list_flights(b"{", client.options))
    with pytest.raises(INVALID, match="sufix"):
        client.listed(sufix=".h5ad")


class TestBadFiles:
    """Files that are not what their names say, registered as they are."""

    def refused(self, site, client, key, content, words):
        """The file cannot be registered, or can and then cannot be read; either way by name."""
        site.put(key, content)
        done = site.register(key, check=False)
        if done.returncode != 0:
            message = done.stderr
            assert "panicked" not in message
        else:
            with pytest.raises((*DATA_LOSS, INVALID, UNIMPLEMENTED)) as caught:
                client.direct({"key": key} if key.endswith(".parquet") else {"key": key, "node": "X"})
            message = str(caught.value)
        assert key.rsplit("/", 1)[-1] in message
        assert any(word in message.lower() for word in words), message

    @pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
    def test_truncated_h5ad(self, notebook, client, part):
        content = (stack.NOTEBOOK / "pbmc68k.h5ad").read_bytes()
        content = content[: int(len(content) * part)]
        self.refused(notebook, client, f"bad/truncated-{part}.h5ad", content, ["truncated", "past the end", "end of file"])

    def test_text_named_h5ad(self, notebook, client):
        self.refused(notebook, client, "bad/text.h5ad", b"cell,gene\n1,2\n" * 1000, ["hdf5"])

    def test_empty_h5ad(self, notebook, client):
        self.refused(notebook, client, "bad/empty.h5ad", b"", ["hdf5", "empty", "truncated"])

    def test_noise_in_h5ad(self, notebook, client):
        """Damage all over the first metadata: an error, never a crash."""
        content = bytearray((stack.NOTEBOOK / "variants.h5ad").read_bytes())
        for position in range(96, 4096, 61):
            content[position] ^= 0x5A
        words = ["no object header", "corrupt"]
        self.refused(notebook, client, "bad/noise.h5ad", bytes(content), words)

    def test_text_named_parquet(self, notebook, client):
        self.refused(notebook, client, "bad/text.parquet", b"no parquet at all\n" * 50, ["parquet"])

    def test_file_that_is_not_there(self, notebook):
        done = notebook.command("register", f"s3://{stack.BUCKET}/bad/none.h5ad", check=False)
        assert done.returncode != 0
        assert "bad/none.h5ad" in done.stderr


class TestChangedShards:
    """A shard that is deleted or replaced after registration."""

    def folder(self, site, key):
        for louvain in (0, 1, 2):
            site.put(f"{key}/part-{louvain}.parquet", stack.NOTEBOOK / stack.shard_key(louvain))
        site.register(key)

    def test_deleted(self, notebook, client):
        self.folder(notebook, "shards/deleted")
        assert client.direct({"key": "shards/deleted"}).num_rows == 30
        (notebook.bucket / "shards/deleted/part-1.parquet").unlink()
        with pytest.raises((INVALID, NOT_FOUND), match="part-1.parquet"):
            client.direct({"key": "shards/deleted", "where": "n_genes > 0"})

    def test_replaced(self, notebook, client):
        self.folder(notebook, "shards/replaced")
        notebook.put("shards/replaced/part-1.parquet", stack.NOTEBOOK / stack.shard_key(5))
        with pytest.raises(INVALID, match="part-1.parquet"):
            client.direct({"key": "shards/replaced"})

    def test_added_shards_are_not_read(self, notebook, client):
        self.folder(notebook, "shards/added")
        notebook.put("shards/added/part-9.parquet", stack.NOTEBOOK / stack.shard_key(5))
        assert client.direct({"key": "shards/added"}).num_rows == 30


class TestFailingStore:
    """An S3 server that answers badly. Each test has a server with nothing in its cache."""

    @pytest.fixture
    def fresh(self, notebook):
        client = Client(notebook.serve().uri, seconds=BOUND_SECONDS)
        yield client
        notebook.cloud.clear_faults()
        client.close()

    def faulty(self, notebook, kind, **fields):
        notebook.cloud.fault(kind, match="lndb-storage", **fields)

    @pytest.mark.parametrize("status", [500, 503])
    def test_every_third_request_fails(self, notebook, fresh, whole, status):
        self.faulty(notebook, "status", status=status, every=3)
        same_array(decode.array(fresh.get((PBMC, "X"))), whole.X)
        for name in whole.obsm:
            same_array(decode.array(fresh.get((PBMC, f"obsm/{name}"))), whole.obsm[name])
        assert notebook.cloud.stats()["faults_injected"] > 0

    @pytest.mark.parametrize("kind", ["short", "reset"])
    def test_every_third_connection_breaks(self, notebook, fresh, whole, kind):
        self.faulty(notebook, kind, every=3)
        same_array(decode.array(fresh.get((PBMC, "X"))), whole.X)
        assert notebook.cloud.stats()["faults_injected"] > 0

    def test_always_failing_is_unavailable_in_bounded_time(self, notebook, fresh, whole):
        self.faulty(notebook, "status", status=503)
        started = time.monotonic()
        with pytest.raises(UNAVAILABLE, match="pbmc68k.h5ad"):
            fresh.direct({"key": PBMC, "node": "X"})
        assert time.monotonic() - started < BOUND_SECONDS / 2
        notebook.cloud.clear_faults()
        same_array(decode.array(fresh.get((PBMC, "X"))), whole.X)

    def test_a_refused_key_is_not_retried_for_ever(self, notebook, fresh):
        self.faulty(notebook, "status", status=403)
        started = time.monotonic()
        with pytest.raises((DENIED, flight.FlightUnauthenticatedError, UNAVAILABLE, INVALID)):
            fresh.direct({"key": PBMC, "node": "X"})
        assert time.monotonic() - started < 20

    def test_flipped_bytes_of_a_checked_chunk_are_noticed(self, notebook, fresh):
        """A damaged gzip chunk is DATA_LOSS naming the node, not wrong numbers."""
        key = "bad/flipped.h5ad"
        notebook.register(key, source=stack.FIXTURES / "legacy" / "10x_pbmc68k_reduced.h5ad")
        fresh.action("describe", {"key": key})
        fresh.action("explain", {"key": key, "node": "X"})
        notebook.cloud.fault("corrupt", match=key, methods=["GET"])
        with pytest.raises(DATA_LOSS) as caught:
            fresh.direct({"key": key, "node": "X"})
        assert "X" in str(caught.value)
