"""What is kept is asked for once: by many clients at the same time, again, and after a restart (ADR 8)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import decode
import stack
from expect import same_array
from generated import chunk_ranges, chunked_h5ad
from wire import Client

KEY = "generated/caches.h5ad"
ROWS = [*range(5, 20), *range(2010, 2020), *range(3990, 4000)]
CHUNKS = (0, 2000, 3900)
REQUEST = {"key": KEY, "node": "X", "obs": {"index": ROWS}}


class Chunked:
    """The file in the bucket, its chunks, and which of its bytes are asked for."""

    def __init__(self, site):
        self.site, path = site, site.folder / "caches.h5ad"
        self.x, self.obs = chunked_h5ad(path)
        self.ranges = chunk_ranges(path, "X")
        site.register(KEY, source=path)
        # The chunk index goes to the registry.
        Client(site.serve().uri).direct({"key": KEY, "node": "X", "obs": {"index": [1050]}})

    def reads(self, run):
        """The ranges of the file that were read while `run` ran, in order of place; and the answer."""
        self.site.cloud.reset()
        answer = run()
        entries = [entry for entry in self.site.cloud.log_entries() if entry["key"] == KEY and entry["method"] == "GET"]
        return sorted(entry["range"] for entry in entries), answer


@pytest.fixture(scope="module")
def chunked(site):
    return Chunked(site)


@pytest.fixture
def slow(chunked):
    """Every read takes a while, so that requests at the same time meet."""
    chunked.site.cloud.fault("slow", delay_ms=400, methods=["GET"])
    yield
    chunked.site.cloud.clear_faults()


def test_many_clients_at_once_fetch_a_chunk_once(chunked, slow):
    server = chunked.site.serve()
    clients = [Client(server.uri) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ranges, tables = chunked.reads(lambda: list(pool.map(lambda client: client.direct(REQUEST), clients)))
    assert ranges == [chunked.ranges[row] for row in CHUNKS]
    for table in tables:
        same_array(decode.array(table), chunked.x[ROWS])
    # Asked for by several, it is kept.
    assert chunked.reads(lambda: clients[0].direct(REQUEST))[0] == []


def test_a_client_that_goes_leaves_its_chunks_to_those_who_wait(chunked, slow):
    server = chunked.site.serve()
    gone, waiting = Client(server.uri), Client(server.uri)
    reader = gone.reader(REQUEST)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(waiting.direct, REQUEST)
        reader.cancel()
        same_array(decode.array(answer.result(30)), chunked.x[ROWS])


def test_a_client_that_does_not_read_stops_nobody(chunked):
    """Streams that are opened and not read have asked for the same chunks."""
    server = chunked.site.serve()
    readers = [Client(server.uri).reader({"key": KEY, "node": "X"}) for _ in range(2)]
    for reader in readers:
        reader.read_chunk()
    table = Client(server.uri, seconds=30).direct({"key": KEY, "node": "X"})
    same_array(decode.array(table), chunked.x)
    for reader in readers:
        reader.cancel()


def test_a_chunk_that_is_asked_for_again_is_kept(chunked):
    client = Client(chunked.site.serve().uri)
    counts = [len(chunked.reads(lambda: client.direct(REQUEST))[0]) for _ in range(4)]
    assert counts == [3, 3, 0, 0]


def test_without_a_cache_nothing_is_kept(chunked):
    client = Client(chunked.site.serve(settings='[limits]\nchunk_cache_bytes = 0\n').uri)
    assert [len(chunked.reads(lambda: client.direct(REQUEST))[0]) for _ in range(3)] == [3, 3, 3]


def test_names_are_read_once(chunked):
    client = Client(chunked.site.serve().uri)
    request = {"key": KEY, "node": "obs", "columns": ["position"], "obs": {"names": ["cell7", "cell3999"]}}
    first, table = chunked.reads(lambda: client.direct(request))
    assert table.column("position").to_pylist() == [7, 3999] and first
    assert chunked.reads(lambda: client.direct(request))[0] == []


class Disk:
    """A folder for blocks, and servers that use it."""

    def __init__(self, chunked, folder, size="64 MiB"):
        self.chunked, self.folder, self.size = chunked, folder, size

    def reads(self, request=REQUEST):
        """What a new server reads for the request, and the answer."""
        settings = f'[disk_cache]\npath = "{self.folder}"\nbytes = "{self.size}"\n'
        server = self.chunked.site.serve(settings=settings)
        ranges, table = self.chunked.reads(lambda: Client(server.uri).direct(request))
        server.stop()
        return ranges, table

    def files(self):
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def disk(chunked, tmp_path):
    return Disk(chunked, tmp_path / "cache")


def test_blocks_on_disk_survive_a_restart(chunked, disk):
    first, table = disk.reads()
    same_array(decode.array(table), chunked.x[ROWS])
    assert len(first) == 3 and all(start % 65536 == 0 for start, _ in first)
    assert sum(-(-(end - start) // 65536) for start, end in first) == len(disk.files())
    again, table = disk.reads()
    assert again == []
    same_array(decode.array(table), chunked.x[ROWS])


def test_damaged_files_are_read_again_and_never_believed(chunked, disk):
    disk.reads()
    for place, path in enumerate(disk.files()):
        content = bytearray(path.read_bytes())
        if place % 4 == 0:
            content[len(content) // 2] ^= 1
        elif place % 4 == 1:
            del content[1000:]
        elif place % 4 == 2:
            content = disk.files()[0].read_bytes()
        path.write_bytes(content)
    again, table = disk.reads()
    same_array(decode.array(table), chunked.x[ROWS])
    assert again
    assert disk.reads()[0] == []


def test_the_disk_keeps_its_bound(chunked, tmp_path):
    disk = Disk(chunked, tmp_path / "small", "1 MiB")
    _, table = disk.reads({"key": KEY, "node": "X"})
    same_array(decode.array(table), chunked.x)
    assert 8 <= len(disk.files()) <= 16
    assert sum(path.stat().st_size for path in disk.files()) <= 1 << 20


def test_another_version_is_not_answered_from_the_disk(chunked, disk, site):
    disk.reads()
    path = site.folder / "changed.h5ad"
    chunked_h5ad(path)
    content = bytearray(path.read_bytes())
    site.put(KEY, bytes(content) + b"\0")
    site.register(KEY)
    try:
        ranges, table = disk.reads()
        assert ranges
        same_array(decode.array(table), chunked.x[ROWS])
    finally:
        site.put(KEY, path)
        site.register(KEY)


def test_frames_of_two_views_are_kept_apart(site):
    """Both genomes of a file have a frame `var`: what is kept of one is never given for the other."""
    site.register("genomes.h5", source=stack.FIXTURES / "views" / "genomes.h5")
    client = Client(site.serve().uri)
    for genome in ("hg19", "mm10", "hg19"):
        table = client.get({"key": "genomes.h5", "node": f"{genome}/X", "layout": "wide", "limit": 1})
        assert all(name.startswith(genome) for name in table.column_names), genome
    client.close()
