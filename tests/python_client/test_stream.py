"""How answers are read, against a small Flight server that breaks where it is told: order, parallel
endpoints, repetition, deadlines, tokens, certificates, errors."""

import json
import multiprocessing
import pickle
import subprocess
import threading

import pyarrow
import pyarrow.compute
import pyarrow.flight as flight
import pytest

import sliceflight as sf
from sliceflight import stream
from sliceflight.connection import ATTEMPTS, Connection, Settings
from sliceflight.progress import Progress
from sliceflight.table import Dataset

ROWS, PARTS = 1000, 5
SCHEMA = pyarrow.schema([("n", pyarrow.int64())])


class Breaking(flight.FlightServerBase):
    """Numbers from 0 in several endpoints. `breaks` says how often a call ends as unavailable, and where."""

    def __init__(self, **options):
        super().__init__(
            "grpc://127.0.0.1:0" if "tls_certificates" not in options else "grpc+tls://localhost:0", **options
        )
        self.breaks, self.calls, self.error = {}, [], flight.FlightUnavailableError("store is away")
        self.open, self.most, self.lock, self.headers = 0, 0, threading.Lock(), []
        self.barrier = None

    def get_flight_info(self, context, descriptor):
        self._call("info")
        tickets = [flight.FlightEndpoint(flight.Ticket(str(part)), []) for part in range(PARTS)]
        return flight.FlightInfo(SCHEMA, descriptor, tickets, ROWS * PARTS, -1)

    def do_get(self, context, ticket):
        part = int(ticket.ticket)
        self._call(f"get {part}")
        return flight.GeneratorStream(SCHEMA, self._batches(part))

    def do_action(self, context, action):
        self._call(action.type)
        return iter([json.dumps({"body": json.loads(action.body.to_pybytes())}).encode()])

    def _batches(self, part):
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        if self.barrier is not None:
            self.barrier.wait(20)
        try:
            for start in range(0, ROWS, 100):
                if self.breaks.get(f"rows {part}", 0) and start == 300:
                    self.breaks[f"rows {part}"] -= 1
                    raise self.error
                first = part * ROWS + start
                yield pyarrow.record_batch([pyarrow.array(range(first, first + 100))], schema=SCHEMA)
        finally:
            with self.lock:
                self.open -= 1

    def _call(self, name):
        self.calls.append(name)
        if self.breaks.get(name, 0):
            self.breaks[name] -= 1
            raise self.error


@pytest.fixture
def server():
    with Breaking() as server:
        yield server


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("sliceflight.connection.FIRST_PAUSE_SECONDS", 0.001)


def connected(server, **settings):
    return Connection(Settings(f"grpc://127.0.0.1:{server.port}", timeout=30, **settings))


def numbers(found):
    return pyarrow.Table.from_batches(list(found), SCHEMA).column("n").to_pylist()


class TestOrder:
    """Rows in order, whoever reads them."""

    @pytest.mark.parametrize("parallel", [1, 2, 4, 16])
    def test_all_rows_in_order(self, server, parallel):
        answer = stream.Stream(connected(server, parallel=parallel), {"key": "numbers"})
        assert (answer.rows, answer.schema) == (ROWS * PARTS, SCHEMA)
        assert answer.table().column("n").to_pylist() == list(range(ROWS * PARTS))
        assert numbers(answer.batches()) == list(range(ROWS * PARTS))
        assert numbers(answer.reader()) == list(range(ROWS * PARTS))

    def test_endpoints_are_read_at_the_same_time(self, server):
        server.barrier = threading.Barrier(4)  # the first four go on only together
        reader = stream.Stream(connected(server, parallel=4), {"key": "numbers"}).batches()
        first = next(reader)
        server.barrier = None
        assert first.column("n")[0].as_py() == 0
        assert server.most == 4

    def test_no_more_than_asked_for(self, server):
        stream.read(connected(server, parallel=2), {"key": "numbers"})
        assert server.most <= 2

    def test_a_reader_that_stops_early(self, server):
        batches = stream.Stream(connected(server, parallel=3), {"key": "numbers"}).batches(prefetch=1)
        next(batches)
        batches.close()
        deadline = threading.Event()
        for _ in range(200):
            if server.open == 0:
                break
            deadline.wait(0.05)
        assert server.open == 0, "the server's streams went on"


class TestRepetition:
    """What is repeated while the server is unavailable."""

    @pytest.mark.parametrize("parallel", [1, 4])
    @pytest.mark.parametrize("where", ["info", "get 0", "get 3", "rows 0", "rows 2"])
    def test_reading_goes_on(self, server, where, parallel):
        server.breaks[where] = ATTEMPTS - 1
        found = stream.read(connected(server, parallel=parallel), {"key": "numbers"})
        assert found.column("n").to_pylist() == list(range(ROWS * PARTS)), "no row twice, none missing"

    @pytest.mark.parametrize("where", ["info", "get 1", "rows 1"])
    def test_it_ends(self, server, where):
        server.breaks[where] = 100
        with pytest.raises(sf.errors.Unavailable, match="store is away"):
            stream.read(connected(server), {"key": "numbers"})
        assert 100 - server.breaks[where] == ATTEMPTS

    def test_rows_before_a_failure_come(self, server):
        server.breaks["rows 1"] = 100
        found = []
        with pytest.raises(ConnectionError):
            found.extend(stream.Stream(connected(server), {"key": "numbers"}).batches())
        assert numbers(found) == list(range(ROWS + 300))

    @pytest.mark.parametrize(
        "read",
        [
            lambda dataset: dataset.to_table(),
            lambda dataset: dataset.to_table(filter=pyarrow.compute.field("n") >= 0),
            lambda dataset: list(dataset.to_batches(columns={"m": pyarrow.compute.field("n") + 1})),
            lambda dataset: pyarrow.RecordBatchReader.from_stream(dataset).read_all(),
            lambda dataset: dataset.lazy().collect(),
        ],
    )
    def test_failures_come_through_other_libraries(self, server, read):
        """Each with the server's words, and all but Arrow's C stream with the class."""
        server.breaks["rows 2"] = 100
        with pytest.raises(OSError, match="store is away"):
            read(Dataset(connected(server), {"key": "numbers"}, {}))

    def test_other_failures_are_not_repeated(self, server):
        server.error = flight.FlightServerError("a fault")
        server.breaks["get 0"] = 100
        with pytest.raises(sf.SliceflightError):
            stream.read(connected(server, parallel=1), {"key": "numbers"})
        assert server.calls.count("get 0") == 1

    def test_questions_are_repeated_and_changes_are_not(self, server):
        connection = connected(server)
        server.breaks["describe"] = 2
        assert connection.action("describe", {"key": "a"}) == {"body": {"key": "a"}}
        server.breaks["register"] = 1
        with pytest.raises(sf.errors.Unavailable):
            connection.action("register", {"url": "u"}, repeat=False)
        assert server.calls.count("register") == 1


class TestErrors:
    """Exceptions by code, with the server's message."""

    @pytest.mark.parametrize(
        ("words", "kind", "builtin"),
        [
            ("Flight returned not found error, with message: no node 'a'", sf.errors.NotFound, KeyError),
            ("gRPC returned out-of-range error, with message: index 9", sf.errors.OutOfRange, IndexError),
            ("Flight returned invalid argument error, with message: bad", sf.errors.InvalidArgument, ValueError),
            (
                "gRPC returned precondition failed error, with message: changed",
                sf.errors.FailedPrecondition,
                ValueError,
            ),
            ("gRPC returned resource exhausted error, with message: limit", sf.errors.ResourceExhausted, MemoryError),
            ("Flight returned unimplemented error, with message: zfp", sf.errors.Unimplemented, NotImplementedError),
            ("gRPC returned data loss error, with message: cut off", sf.errors.DataLoss, OSError),
            ("Flight returned unauthorized error, with message: no", sf.errors.PermissionDenied, PermissionError),
            ("Flight returned unauthenticated error, with message: who", sf.errors.Unauthenticated, PermissionError),
            ("Flight returned unavailable error, with message: away", sf.errors.Unavailable, ConnectionError),
            ("Flight returned timeout error, with message: late", sf.errors.DeadlineExceeded, TimeoutError),
            ("Flight returned internal error, with message: fault", sf.errors.Internal, RuntimeError),
        ],
    )
    def test_codes(self, words, kind, builtin):
        more = ". gRPC client debug context: UNKNOWN:Error. Client context: IOError: x. Detail: Internal"
        for text in (words, words + more):
            error = sf.errors.translated(pyarrow.ArrowInvalid(text))
            assert type(error) is kind and isinstance(error, builtin)
            assert str(error) == error.message == words.partition("message: ")[2]

    def test_what_is_no_failure_of_a_call(self):
        assert sf.errors.translated(pyarrow.ArrowInvalid("no such column")) is None
        with pytest.raises(pyarrow.ArrowInvalid):
            with sf.errors.translating():
                raise pyarrow.ArrowInvalid("no such column")

    def test_nobody_listens(self):
        with pytest.raises(sf.errors.Unavailable):
            sf.connect("grpc://127.0.0.1:1", timeout=5).Artifact.get(key="a")

    def test_a_deadline(self, server):
        server.barrier = threading.Barrier(2)
        connection = Connection(Settings(f"grpc://127.0.0.1:{server.port}", timeout=0.3))
        with pytest.raises(TimeoutError):
            stream.read(connection, {"key": "numbers"})
        server.barrier.abort()


class TestConnection:
    """Tokens, certificates, processes."""

    def test_a_token_is_sent(self):
        seen = []

        class Watching(flight.ServerMiddlewareFactory):
            def start_call(self, info, headers):
                seen.append({name.lower(): values for name, values in headers.items()})

        with Breaking(middleware={"watch": Watching()}) as server:
            ln = sf.connect(f"grpc://127.0.0.1:{server.port}", token="secret", headers={"X-Trace": "7"}, timeout=30)
            ln.connection.action("describe", {})
        assert seen[0]["authorization"] == ["Bearer secret"]
        assert seen[0]["x-trace"] == ["7"]
        assert "secret" not in repr(ln) + repr(ln.connection) + repr(ln.connection.settings)

    def test_certificates(self, tmp_path):
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        words = (
            f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {certificate}"
        )
        subprocess.run([*words.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        pair = (certificate.read_bytes(), key.read_bytes())
        with Breaking(tls_certificates=[pair]) as server:
            url = f"grpc+tls://localhost:{server.port}"
            for roots in (certificate, str(certificate), certificate.read_bytes()):
                ln = sf.connect(url, tls_roots=roots, timeout=30)
                assert ln.connection.action("describe", {}) == {"body": {}}
            with pytest.raises(sf.errors.Unavailable):
                sf.connect(url, timeout=10).connection.action("describe", {})

    def test_a_pickled_connection(self, server):
        connection = connected(server)
        connection.action("describe", {})
        assert pickle.loads(pickle.dumps(connection)).action("describe", {"a": 1}) == {"body": {"a": 1}}

    def test_other_processes(self, ln):
        """Workers connect by themselves: accessors travel by pickle."""
        adata = ln.Artifact.get(key="lndb-storage/pbmc68k.h5ad").open()
        expected = [float(adata[place].X[0, 0]) for place in range(4)]
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.starmap(first_value, [(adata, place) for place in range(4)]) == expected

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_forked_process_is_told(self, server):
        """gRPC would wait for ever there."""
        connection = connected(server)
        connection.action("describe", {})
        with multiprocessing.get_context("fork").Pool(1) as pool:
            said = pool.apply_async(failure_of, (connection,)).get(30)
        assert "spawn" in said

    def test_closing(self, server):
        with sf.connect(f"grpc://127.0.0.1:{server.port}", timeout=30) as ln:
            ln.connection.action("describe", {})
        assert ln.connection.action("describe", {}) == {"body": {}}, "a later call connects anew"


def failure_of(connection):
    try:
        return str(connection.action("describe", {}))
    except RuntimeError as error:
        return str(error)


def first_value(adata, place):
    return float(adata[place].X[0, 0])


class TestProgress:
    """Reports while reading."""

    def test_a_function(self, server):
        seen = []
        stream.read(connected(server, progress=seen.append), {"key": "numbers"})
        assert all(isinstance(report, Progress) for report in seen)
        assert [report.rows for report in seen] == [*range(100, ROWS * PARTS + 1, 100), ROWS * PARTS]
        assert {report.total_rows for report in seen} == {ROWS * PARTS}
        assert [report.done for report in seen] == [False] * (len(seen) - 1) + [True]
        assert seen[-1].bytes == ROWS * PARTS * 8
        assert seen[0].node == "numbers"

    def test_a_bar(self, server, capsys):
        stream.read(connected(server, progress=True), {"key": "numbers"})
        assert "numbers" in capsys.readouterr().err

    def test_a_line_without_tqdm(self, server, capsys, monkeypatch):
        monkeypatch.setattr("sliceflight.progress._tqdm", lambda: None)
        stream.read(connected(server, progress=True), {"key": "numbers"})
        assert "numbers: 5,000 of 5,000 rows, 0.0 MB\n" in capsys.readouterr().err
