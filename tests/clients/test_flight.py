"""The Flight protocol as clients meet it: listing, infos, tickets, schemas, actions, sizes, cancelling."""

import json
import threading
import time

import grpc
import numpy
import pyarrow
import pyarrow.flight as flight
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import decode
import stack
from conftest import PBMC
from expect import read_anndata, same_array
from generated import chunked_h5ad, many_objects
from protobuf import field, fields, zigzag
from wire import Client, described, descriptor

CHUNKED = "generated/chunked.h5ad"
MIB = 1 << 20
GRPC_DEFAULT_LIMIT = 4 * MIB


@pytest.fixture(scope="module")
def whole():
    return read_anndata(stack.NOTEBOOK / "pbmc68k.h5ad")


@pytest.fixture(scope="module")
def chunked(notebook):
    """A generated file of 16 MB of X; gives X."""
    path = notebook.folder / "chunked.h5ad"
    x, _ = chunked_h5ad(path)
    notebook.register(CHUNKED, source=path)
    return x


@pytest.fixture(scope="module")
def split_client(notebook, chunked):
    """A client of a server that makes endpoints of about 2 MiB."""
    client = Client(notebook.serve(settings='[limits]\nendpoint_bytes = "2 MiB"\n').uri)
    yield client
    client.close()


class TestListing:
    """`ListFlights` and its criteria."""

    def keys(self, client, **criteria):
        return [info.descriptor.path[0].decode() for info in client.listed(**criteria)]

    def test_everything(self, client):
        keys = self.keys(client)
        assert {PBMC, "lndb-storage/testfile.hdf5", "sharded_parquet", "sharded_parquet_collection"} <= set(keys)
        assert keys == sorted(keys)

    def test_key_prefix(self, client):
        assert self.keys(client, key_prefix="lndb-storage/") == [PBMC, "lndb-storage/testfile.hdf5"]

    def test_suffix(self, client):
        assert self.keys(client, suffix=".hdf5") == ["lndb-storage/testfile.hdf5"]

    def test_label(self, notebook, client):
        notebook.command("label", PBMC, "blood")
        assert self.keys(client, label="blood") == [PBMC]
        assert self.keys(client, label="liver") == []

    def test_search(self, client):
        assert PBMC in self.keys(client, search="pbmc68k")
        assert self.keys(client, search="pbmc68k", suffix=".hdf5") == []

    def test_an_entry_can_be_opened(self, client):
        (info,) = client.listed(key_prefix=PBMC)
        again = client.flight.get_flight_info(info.descriptor, client.options)
        assert client.reader(again.endpoints[0].ticket).read_all().num_rows == 70


DESCRIPTORS = {
    "path": descriptor((PBMC, "X")),
    "json": descriptor({"key": PBMC, "node": "X"}),
    "json with spaces": descriptor(b'  { "node" : "X",\n "key":"lndb-storage\\/pbmc68k.h5ad"} '),
    "protobuf": descriptor(field(1, PBMC) + field(6, "X")),
}


@pytest.mark.parametrize("asked", DESCRIPTORS.values(), ids=DESCRIPTORS.keys())
class TestInfo:
    """`GetFlightInfo` and `GetSchema` for each kind of descriptor."""

    def test_descriptor_is_echoed_byte_for_byte(self, client, asked):
        found = client.flight.get_flight_info(asked, client.options).descriptor
        assert found.serialize() == asked.serialize()

    def test_sizes_are_right(self, client, whole, asked):
        info = client.flight.get_flight_info(asked, client.options)
        table = pyarrow.concat_tables(client.reader(endpoint.ticket).read_all() for endpoint in info.endpoints)
        assert info.total_records == table.num_rows == 70
        assert info.total_bytes in (-1, table.nbytes)
        same_array(decode.array(table), whole.X)

    def test_order_is_said(self, client, asked):
        assert client.flight.get_flight_info(asked, client.options).ordered

    def test_endpoints_reuse_the_connection(self, client, asked):
        info = client.flight.get_flight_info(asked, client.options)
        for endpoint in info.endpoints:
            assert [location.uri for location in endpoint.locations] == [b"arrow-flight-reuse-connection://?"]

    def test_app_metadata(self, client, asked):
        summary = described(client.flight.get_flight_info(asked, client.options))
        assert summary["artifact"]["key"] == PBMC
        assert summary["shape_before"] == summary["shape_after"] == [70, 765]
        assert summary["estimate"]["requests"] >= 1
        assert summary["estimate"]["bytes"] >= 70 * 765 * 4

    def test_schema_is_the_streams(self, client, asked):
        info = client.flight.get_flight_info(asked, client.options)
        schema = client.flight.get_schema(asked, client.options).schema
        assert schema.equals(info.schema, check_metadata=True)
        assert client.reader(info.endpoints[0].ticket).schema.equals(schema, check_metadata=True)


class TestSchema:
    """What the schema carries."""

    def test_metadata(self, client):
        request = {"key": PBMC, "node": "X", "obs": {"index": [1, 2]}}
        schema = client.info(request).schema
        text = str({name.decode(): value.decode() for name, value in schema.metadata.items()})
        for word in (PBMC, f"s3://{stack.BUCKET}/{PBMC}", "[2, 765]", "array", "0.2.0"):
            assert word.replace(" ", "") in text.replace(" ", ""), f"{word} in {text}"
        assert stack.SECRET_KEY not in text

    @pytest.mark.parametrize("node", ["X", "obs", "obsm/X_pca", "obsp/distances"])
    def test_an_empty_result_has_its_schema(self, client, node):
        request = {"key": PBMC, "node": node, "obs": {"where": "n_genes < 0"}}
        full, info = client.info((PBMC, node)), client.info(request)
        table = client.get(request)
        assert info.total_records == table.num_rows == 0
        assert table.schema.names == full.schema.names
        assert table.schema.types == full.schema.types

    def test_an_empty_table_has_its_schema(self, client):
        table = client.get({"key": "sharded_parquet", "where": "n_genes < 0"})
        assert table.num_rows == 0
        assert table.column_names == ["cell_type", "n_genes", "percent_mito", "index"]
        assert pyarrow.types.is_dictionary(table.schema.field("cell_type").type)


class TestTickets:
    """Server tickets, and requests used as tickets."""

    def test_protobuf_request_with_selectors(self, client, whole):
        """obs = slice(10, None, -2), var = index [5, -1]; sint64 is zigzag."""
        backwards = field(2, field(1, zigzag(10)) + field(3, zigzag(-2)))
        columns = field(3, field(1, bytes([zigzag(5), zigzag(-1)])))
        request = field(1, PBMC) + field(6, "X") + field(7, backwards) + field(8, columns)
        found = decode.array(client.reader(flight.Ticket(request)).read_all())
        same_array(found, whole.X[10::-2][:, [5, -1]])

    def test_endpoints_put_together_are_the_whole(self, split_client, chunked):
        info = split_client.info((CHUNKED, "X"))
        assert len(info.endpoints) >= 6
        assert info.ordered
        same_array(decode.array(split_client.get((CHUNKED, "X"))), chunked)

    def test_endpoints_of_a_selection(self, split_client, chunked):
        rows = numpy.random.default_rng(5).permutation(4000)[:3000]
        info = split_client.info({"key": CHUNKED, "node": "X", "obs": {"index": rows.tolist()}})
        assert len(info.endpoints) >= 4
        parts = [decode.array(split_client.reader(end.ticket).read_all()) for end in info.endpoints]
        same_array(numpy.concatenate(parts), chunked[rows])

    def test_endpoints_in_any_order_and_at_once(self, split_client, chunked):
        info = split_client.info((CHUNKED, "X"))
        parts = [None] * len(info.endpoints)

        def read(position):
            parts[position] = decode.array(split_client.reader(info.endpoints[position].ticket).read_all())

        threads = [threading.Thread(target=read, args=[position]) for position in reversed(range(len(parts)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        same_array(numpy.concatenate(parts), chunked)

    def test_another_server_of_the_registry_serves_the_ticket(self, notebook, split_client, chunked):
        info = split_client.info((CHUNKED, "X"))
        other = Client(notebook.serve().uri)
        found = decode.array(other.reader(info.endpoints[1].ticket).read_all())
        same_array(found, decode.array(split_client.reader(info.endpoints[1].ticket).read_all()))

    def test_a_ticket_is_good_more_than_once(self, client, whole):
        (endpoint,) = client.info((PBMC, "X")).endpoints
        for _ in range(2):
            same_array(decode.array(client.reader(endpoint.ticket).read_all()), whole.X)


class TestMessageSizes:
    """Messages fit into gRPC's default limit of 4 MiB."""

    def messages(self, server, request):
        """Sizes of the messages of a DoGet, read by plain gRPC with its default limits."""
        with grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
            call = channel.unary_stream("/arrow.flight.protocol.FlightService/DoGet")
            return [len(message) for message in call(field(1, json.dumps(request)), timeout=60)]

    def test_default(self, server, chunked):
        sizes = self.messages(server, {"key": CHUNKED, "node": "X"})
        assert sum(sizes) > 3 * GRPC_DEFAULT_LIMIT
        assert max(sizes) <= 2 * MIB + 64 * 1024
        assert len(sizes) < 30, "and they are not split to crumbs"

    def test_sparse_and_text(self, notebook):
        notebook.register("variants/variants.h5ad", source=stack.NOTEBOOK / "variants.h5ad")
        server = notebook.serve(settings='[limits]\nmessage_bytes = "64 KiB"\n')
        for node in ("X", "obs", "layers/csc"):
            assert max(self.messages(server, {"key": "variants/variants.h5ad", "node": node})) < 96 * 1024

    def test_batch_rows_and_bytes_as_asked(self, client, chunked):
        batches = client.direct({"key": CHUNKED, "node": "X", "max_batch_rows": 7, "obs": {"slice": {"stop": 100}}})
        assert max(len(batch) for batch in batches.to_batches()) <= 7
        batches = client.direct({"key": CHUNKED, "node": "X", "max_batch_bytes": 100_000})
        assert max(batch.nbytes for batch in batches.to_batches()) <= 100_000
        same_array(decode.array(batches), chunked)


class TestServices:
    """gRPC's own services."""

    @pytest.fixture(scope="class")
    def channel(self, server):
        with grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
            yield channel

    @pytest.mark.parametrize("service", ["", "arrow.flight.protocol.FlightService"])
    def test_health(self, channel, service):
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def test_reflection_v1alpha(self, channel):
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "arrow.flight.protocol.FlightService" in database.get_services()
        file = database.FindFileContainingSymbol("arrow.flight.protocol.FlightService")
        assert {"DoGet", "GetFlightInfo"} <= {method.name for method in file.service[0].method}

    def test_reflection_v1(self, channel):
        """The same question to v1, whose list of services is field 7 of its request and 6 of its answer."""
        call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        (answer,) = call(iter([field(7, "")]), timeout=10)
        (services,) = [value for number, value in fields(answer) if number == 6]
        names = [dict(fields(service))[1] for number, service in fields(services) if number == 1]
        assert b"arrow.flight.protocol.FlightService" in names


class TestActions:
    """`ListActions` and `DoAction`."""

    def test_all_are_listed_with_a_description(self, client):
        actions = {action.type: action.description for action in client.flight.list_actions(client.options)}
        expected = {"describe", "tree", "register", "create_collection", "label", "search", "remove", "explain"}
        assert expected <= actions.keys()
        assert all(actions[name] for name in expected)

    def test_search(self, client):
        assert PBMC in json.dumps(client.action("search", {"search": "pbmc68k"}))

    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("register", {"url": f"s3://{stack.BUCKET}/{PBMC}", "key": "other"}),
            ("create_collection", {"key": "new", "artifacts": [PBMC]}),
            ("label", {"key": PBMC, "labels": ["new"]}),
            ("remove", {"key": PBMC}),
        ],
    )
    def test_writing_is_refused_unless_allowed(self, client, name, body):
        with pytest.raises(flight.FlightUnauthorizedError):
            client.action(name, body)
        assert client.info((PBMC, "X")).total_records == 70

    def test_writing_where_allowed(self, notebook):
        client = Client(notebook.serve(settings="allow_register = true\n").uri)
        key = "written/copy.h5ad"
        notebook.put(key, stack.NOTEBOOK / "pbmc68k.h5ad")
        made = client.action("register", {"url": f"s3://{stack.BUCKET}/{key}", "key": key, "labels": ["copy"]})
        assert made["key"] == key and len(made["uid"]) == 20
        assert client.info((key, "X")).total_records == 70
        shards = [stack.shard_key(3), stack.shard_key(2)]
        for shard in shards:
            client.action("register", {"url": f"s3://{stack.BUCKET}/{shard}", "key": shard})
        client.action("create_collection", {"key": "written", "artifacts": shards})
        assert client.get({"collection": "written"}).num_rows == 7 + 10
        client.action("label", {"key": key, "labels": ["blood"]})
        assert [info.descriptor.path[0].decode() for info in client.listed(label="copy")] == [key]
        client.action("remove", {"key": key})
        with pytest.raises(KeyError, match=key):
            client.info((key, "X"))
        assert (notebook.bucket / key).is_file(), "user data is never removed"


def test_a_storage_that_is_registered_while_the_server_runs(notebook, tmp_path):
    """The command line adds it to the registry; a running server learns of it when it is asked."""
    client = Client(notebook.serve().uri)
    path = tmp_path / "late.h5ad"
    path.write_bytes((stack.NOTEBOOK / "pbmc68k.h5ad").read_bytes())
    notebook.command("register", path, "--key", "late.h5ad")
    assert client.get(("late.h5ad", "X")).num_rows == 70


class TestRoots:
    """Nothing outside the registered storages can be named."""

    @pytest.fixture(scope="class")
    def outside(self, notebook):
        """A file beside the bucket, and one in a bucket that nobody registered."""
        path = notebook.cloud.root / "other-bucket" / "secret.h5ad"
        path.parent.mkdir()
        path.write_bytes((stack.NOTEBOOK / "pbmc68k.h5ad").read_bytes())
        return path

    @pytest.mark.parametrize(
        "url",
        [
            "file:///etc/passwd",
            "file://{path}",
            "{path}",
            "s3://other-bucket/secret.h5ad",
            "s3://lamindb-ci/../other-bucket/secret.h5ad",
            "s3://lamindb-ci/lndb-storage/../../other-bucket/secret.h5ad",
            "s3://lamindb-ci/%2e%2e/other-bucket/secret.h5ad",
            "s3://lamindb-ci.other-bucket/secret.h5ad",
            "http://169.254.169.254/latest/meta-data/",
            "memory:///x",
        ],
    )
    def test_reading_is_refused(self, client, outside, url):
        with pytest.raises((flight.FlightUnauthorizedError, pyarrow.ArrowInvalid, KeyError)) as caught:
            client.direct({"url": url.format(path=outside), "node": "X"})
        assert "root:" not in str(caught.value)

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "s3://other-bucket/secret.h5ad"])
    def test_registering_is_refused(self, notebook, outside, url):
        client = Client(notebook.serve(settings="allow_register = true\n").uri)
        with pytest.raises((flight.FlightUnauthorizedError, pyarrow.ArrowInvalid)):
            client.action("register", {"url": url})

    @pytest.mark.parametrize("key", ["../other-bucket/secret.h5ad", "/etc/passwd", "lndb-storage/../../x"])
    def test_a_key_is_no_path(self, client, outside, key):
        with pytest.raises(KeyError):
            client.info((key, "X"))

    @pytest.mark.parametrize("node", ["../../etc/passwd", "../X", "X/../../obs"])
    def test_a_node_is_no_path(self, notebook, node):
        notebook.register("variants/variants_v2.zarr", source=stack.NOTEBOOK / "variants_v2.zarr")
        client = Client(notebook.serve().uri)
        with pytest.raises((KeyError, pyarrow.ArrowInvalid)):
            client.direct({"key": "variants/variants_v2.zarr", "node": node})

    def test_a_url_inside_a_storage_is_served(self, client, whole):
        found = client.get({"url": f"s3://{stack.BUCKET}/{PBMC}", "node": "X"})
        same_array(decode.array(found), whole.X)


    def test_a_url_that_nobody_registered_is_served_where_it_lies(self, notebook, client, whole):
        notebook.put("unregistered/cells.h5ad", stack.NOTEBOOK / "pbmc68k.h5ad")
        url = f"s3://{stack.BUCKET}/unregistered/cells.h5ad"
        same_array(decode.array(client.get({"url": url, "node": "X"})), whole.X)
        ticket = client.info({"url": url, "node": "X"}).endpoints[0].ticket
        notebook.put("unregistered/cells.h5ad", stack.NOTEBOOK / "csc.h5ad")
        with pytest.raises(pyarrow.ArrowInvalid, match="changed"):
            client.reader(ticket).read_all()
        with pytest.raises(KeyError, match="unregistered/none.h5ad"):
            client.get({"url": f"s3://{stack.BUCKET}/unregistered/none.h5ad", "node": "X"})


class TestCancelling:
    """A reader that goes away stops the fetches."""

    objects = 400
    key = "generated/objects.zarr"

    @pytest.fixture(scope="class")
    def slow(self, notebook):
        """A zarr array of 400 objects, each of which takes half a second."""
        path = notebook.folder / "objects.zarr"
        values = many_objects(path, rows=self.objects)
        notebook.register(self.key, source=path)
        client = Client(notebook.serve().uri)
        same_array(decode.array(client.direct({"key": self.key, "node": "values", "slice": "0:2"})), values[:2])
        notebook.cloud.fault("slow", match="objects.zarr/values", delay_ms=500)
        yield client
        notebook.cloud.clear_faults()

    def stays_still(self, cloud):
        """The number of requests no longer grows and nothing is in flight; gives that number."""
        time.sleep(1.5)
        before = cloud.stats()
        time.sleep(1.5)
        after = cloud.stats()
        assert after["requests"] == before["requests"]
        assert after["in_flight"] == 0
        return after["requests"]

    @pytest.mark.parametrize("way", ["cancel", "drop", "deadline"])
    def test_fetches_stop(self, notebook, slow, way):
        notebook.cloud.reset()
        options = flight.FlightCallOptions(timeout=1.0 if way == "deadline" else 60)
        ticket = flight.Ticket(json.dumps({"key": self.key, "node": "values", "slice": "2:"}))
        reader = slow.flight.do_get(ticket, options)
        assert reader.schema.names == ["values"], "the schema comes before slow work"
        if way == "cancel":
            reader.cancel()
        elif way == "drop":
            del reader
        else:
            with pytest.raises(flight.FlightTimedOutError):
                reader.read_all()
        assert self.stays_still(notebook.cloud) < self.objects / 2

    @pytest.mark.timeout(240)
    def test_without_cancelling_they_go_on(self, notebook, slow):
        """The control: the same request of a fresh server, read to its end, fetches every object."""
        notebook.cloud.clear_faults()
        client = Client(notebook.serve().uri)
        notebook.cloud.reset()
        table = client.direct({"key": self.key, "node": "values", "slice": "2:"})
        assert table.num_rows == self.objects - 2
        assert notebook.cloud.stats()["requests"] >= self.objects - 2
