"""A slice reads what it needs and nothing else, as counts of an S3 server, and `explain` says so before (item 6)."""

import pytest

import decode
from conftest import PBMC
from expect import same_array, same_frame
from generated import chunk_ranges, chunked_h5ad, columns_h5ad, inner_chunk_ranges, sharded_store
from wire import Client

KEY = "generated/chunked.h5ad"
# 35 rows in three chunks that lie far apart
ROWS = [*range(5, 20), *range(2010, 2020), *range(3990, 4000)]
CHUNKS = (0, 2000, 3900)


class Chunked:
    """The file in the bucket, where its chunks lie, and a server with a warm chunk index."""

    def __init__(self, site):
        self.cloud = site.cloud
        path = site.folder / "chunked.h5ad"
        self.x, self.obs = chunked_h5ad(path)
        self.ranges = chunk_ranges(path, "X")
        self.size = path.stat().st_size
        site.register(KEY, source=path)
        self.site = site
        self.client = self.fresh_client()

    def fresh_client(self):
        """A client of a new server: it has the registry's chunk index, and no blocks in memory."""
        return Client(self.site.serve().uri)

    def ranges_read(self, run):
        """The ranges of the file that were read while `run` ran, in order of place; and the answer."""
        self.cloud.reset()
        answer = run()
        entries = [entry for entry in self.cloud.log_entries() if entry["key"] == KEY and entry["method"] == "GET"]
        assert all(entry["status"] in (200, 206) for entry in entries), entries
        return sorted(entry["range"] for entry in entries), answer


@pytest.fixture(scope="module")
def chunked(site):
    chunked = Chunked(site)
    warm = {"key": KEY, "node": "X", "obs": {"index": [1050]}}
    chunked.client.direct(warm)
    return chunked


def test_rows_read_only_their_chunks(chunked):
    request = {"key": KEY, "node": "X", "obs": {"index": ROWS}}
    ranges, table = chunked.ranges_read(lambda: chunked.client.direct(request))
    assert ranges == [chunked.ranges[row] for row in CHUNKS]
    same_array(decode.array(table), chunked.x[ROWS])


def test_a_restarted_server_needs_no_metadata(chunked):
    """The chunk index is in the registry: a new server reads the chunks and nothing else."""
    client = chunked.fresh_client()
    request = {"key": KEY, "node": "X", "obs": {"index": ROWS}}
    ranges, table = chunked.ranges_read(lambda: client.direct(request))
    assert ranges == [chunked.ranges[row] for row in CHUNKS]
    same_array(decode.array(table), chunked.x[ROWS])


def test_every_read_is_conditional(chunked):
    """Each range carries the ETag of registration as If-Match."""
    client = chunked.fresh_client()
    chunked.cloud.reset()
    client.direct({"key": KEY, "node": "X", "obs": {"index": ROWS}})
    etags = {entry["if_match"] for entry in chunked.cloud.log_entries() if entry["method"] == "GET"}
    assert len(etags) == 1 and None not in etags


def test_explain_says_the_same_numbers_before(chunked):
    client = chunked.fresh_client()
    request = {"key": KEY, "node": "X", "obs": {"index": ROWS}}
    reads_of_explain, plan = chunked.ranges_read(lambda: client.action("explain", request))
    assert reads_of_explain == []
    ranges, _ = chunked.ranges_read(lambda: client.direct(request))
    assert plan["requests"] == len(ranges) == 3
    assert plan["bytes"] == sum(end - start for start, end in ranges)
    assert sorted([part["offset"], part["offset"] + part["length"]] for part in plan["ranges"]) == ranges
    assert plan["artifact"]["key"] == KEY


def test_explain_of_the_command(chunked):
    answer = chunked.site.command("explain", KEY, "X", "--rows", "2010:2020").stdout
    first, last = chunked.ranges[2000]
    assert str(last - first) in answer and str(first) in answer


def test_where_reads_the_columns_it_names(chunked):
    """A where on one column reads that column, not obs, and then the chunks of its rows."""
    client = chunked.fresh_client()
    request = {"key": KEY, "node": "X", "obs": {"where": "position BETWEEN 2010 AND 2019"}}
    ranges, table = chunked.ranges_read(lambda: client.direct(request))
    same_array(decode.array(table), chunked.x[2010:2020])
    x_start, x_end = min(chunked.ranges.values())[0], max(chunked.ranges.values())[1]
    of_x = [found for found in ranges if found[1] > x_start and found[0] < x_end]
    assert of_x == [chunked.ranges[2000]]
    of_obs = sum(end - start for start, end in ranges if [start, end] not in of_x)
    assert of_obs < 200_000, f"{of_obs} bytes for one int64 column of 4000 rows"


def test_schema_and_info_read_no_data(chunked):
    client = chunked.fresh_client()
    ranges, info = chunked.ranges_read(lambda: client.info((KEY, "X")))
    assert info.total_records == 4000
    assert ranges == []


def test_a_repeated_slice_reads_its_data_again_and_nothing_else(chunked):
    """The block cache keeps metadata and columns; the bulk of a slice goes past it."""
    request = {"key": KEY, "node": "X", "obs": {"index": [1210]}}
    first, _ = chunked.ranges_read(lambda: chunked.client.direct(request))
    second, _ = chunked.ranges_read(lambda: chunked.client.direct(request))
    assert first == [chunked.ranges[1200]]
    assert second == [chunked.ranges[1200]]


def test_columns_of_obs_alone(chunked):
    client = chunked.fresh_client()
    ranges, table = chunked.ranges_read(lambda: client.direct({"key": KEY, "node": "obs", "columns": ["position"]}))
    assert table.column("position").to_pylist() == list(range(4000))
    assert sum(end - start for start, end in ranges) < 400_000 < chunked.size


def test_obs_is_right(chunked):
    same_frame(chunked.client.get((KEY, "obs")), chunked.obs)


def test_parquet_reads_the_columns_it_needs(notebook):
    """One column of one shard of eleven: no byte of another file."""
    client = Client(notebook.serve().uri)
    request = {"collection": "sharded_parquet_collection", "columns": ["n_genes"]}
    client.direct(request)
    notebook.cloud.reset()
    client.direct(request)
    keys = {entry["key"] for entry in notebook.cloud.log_entries() if entry["method"] == "GET"}
    assert all("louvain=0/" in key or "louvain=1/" in key for key in keys), keys


def test_opening_a_small_file_takes_few_requests(notebook):
    """A cold open of the notebook's h5ad is metadata in a handful of reads, not the file's every byte twice."""
    client = Client(notebook.serve().uri)
    notebook.cloud.reset()
    client.action("describe", {"key": PBMC})
    stats = notebook.cloud.stats()
    assert stats["requests"] <= 10, stats["by_method"]


SHARDED = "generated/sharded.zarr"
# Rows in inner chunk 1 of shard 0, and in inner chunks 2 and 19 of shard 3.
SHARDED_ROWS = [*range(60, 70), 3100, 3149, 3999]
INNER_CHUNKS = {0: [1], 3: [2, 19]}


class Sharded:
    """A sharded store in the bucket, where its inner chunks lie, and what is read of it."""

    def __init__(self, site):
        self.site, path = site, site.folder / "sharded.zarr"
        self.values = sharded_store(path)
        files = {shard: path / "values" / "c" / str(shard) / "0" for shard in range(4)}
        self.bytes = sum(file.stat().st_size for file in files.values())
        self.layout = {shard: inner_chunk_ranges(file) for shard, file in files.items()}
        site.register(SHARDED, source=path)
        # The tree goes to the registry, the indexes of shards stay with the server that read them.
        Client(site.serve().uri).direct({"key": SHARDED, "node": "values", "axes": [{"index": [0]}, {}]})
        self.client = Client(site.serve().uri)
        self.request = {"key": SHARDED, "node": "values", "axes": [{"index": SHARDED_ROWS}, {}]}

    def reads(self, run):
        """Shard and range of every read while `run` ran, sorted; and the answer."""
        self.site.cloud.reset()
        answer = run()
        entries = [entry for entry in self.site.cloud.log_entries() if entry["key"].startswith(SHARDED)]
        assert all(entry["status"] == 206 and entry["method"] == "GET" for entry in entries), entries
        assert all(entry["if_match"] is not None for entry in entries), entries
        return sorted((int(entry["key"].split("/")[-2]), entry["range"]) for entry in entries), answer

    def indexes(self):
        return [(shard, self.layout[shard][0]) for shard in INNER_CHUNKS]

    def chunks(self):
        """Ranges of the inner chunks of the rows, those that lie side by side as one."""
        expected = []
        for shard, rows in INNER_CHUNKS.items():
            ranges = sorted(self.layout[shard][1][row, column] for row in rows for column in range(2))
            merged = [list(ranges[0])]
            for start, end in ranges[1:]:
                if start - merged[-1][1] <= 16 * 1024:
                    merged[-1][1] = end
                else:
                    merged.append([start, end])
            expected += [(shard, part) for part in merged]
        return sorted(expected)


@pytest.fixture(scope="module")
def sharded(site):
    return Sharded(site)


def test_rows_of_shards_read_their_indexes_and_inner_chunks(sharded):
    """`explain` reads the indexes and says the ranges; the slice then reads exactly those, as does the next."""
    indexes, plan = sharded.reads(lambda: sharded.client.action("explain", sharded.request))
    assert indexes == sharded.indexes()
    for _ in range(2):
        found, table = sharded.reads(lambda: sharded.client.direct(sharded.request))
        assert found == sharded.chunks()
        same_array(decode.array(table), sharded.values[SHARDED_ROWS])
    assert plan["requests"] == len(found) and plan["chunks"] == 6
    assert plan["bytes"] == sum(end - start for _, (start, end) in found) < sharded.bytes / 10
    said = [(int(part["object"].split("/")[-2]), [part["offset"], part["offset"] + part["length"]]) for part in plan["ranges"]]
    assert sorted(said) == found


def test_a_server_that_has_no_index_reads_each_once(sharded):
    client = Client(sharded.site.serve().uri)
    found, table = sharded.reads(lambda: client.direct(sharded.request))
    assert found == sorted(sharded.indexes() + sharded.chunks())
    same_array(decode.array(table), sharded.values[SHARDED_ROWS])


def test_all_of_a_sharded_array(sharded):
    same_array(decode.array(sharded.client.direct({"key": SHARDED, "node": "values"})), sharded.values)
# Without a cache of decoded chunks, which would serve the later passes.
NARROW = """
[limits]
memory_budget = "16 MiB"
stream_memory = "1 MiB"
chunk_cache_bytes = 0
"""


class Columns:
    """A matrix stored by columns: how often a request reads each chunk of its indices and its values."""

    key = "generated/columns.h5ad"

    def __init__(self, site):
        self.site, path = site, site.folder / "columns.h5ad"
        self.matrix = columns_h5ad(path, 3000, 1200, 100, chunks=(1000,), compression="gzip")
        self.chunks = {name: chunk_ranges(path, f"X/{name}").values() for name in ("indices", "data")}
        site.register(self.key, source=path)

    def reads(self, client, request):
        """Batches of the answer; the reads of every chunk, by array; all ranges."""
        # Pointers are kept; the blocks that hold them may hold other chunks too.
        client.direct(request | {"obs": {"index": [0]}})
        self.site.cloud.reset()
        batches = [chunk.data for chunk in client.reader(request)]
        log = [entry for entry in self.site.cloud.log_entries() if entry["key"] == self.key and entry["method"] == "GET"]
        ranges = [entry["range"] for entry in log]
        covering = lambda chunk: sum(start <= chunk[0] and chunk[1] <= end for start, end in ranges)
        return batches, {name: {covering(chunk) for chunk in chunks} for name, chunks in self.chunks.items()}, ranges


@pytest.fixture(scope="module")
def by_columns(site):
    return Columns(site)


@pytest.mark.parametrize("layout", ["rows", "dense", "coo"])
def test_rows_of_columns_that_fit_a_window_are_one_pass(by_columns, layout):
    client = Client(by_columns.site.serve().uri)
    request = {"key": by_columns.key, "node": "X", "layout": layout}
    plan = client.action("explain", request)
    batches, reads, ranges = by_columns.reads(client, request)
    assert reads == {"indices": {1}, "data": {1}}
    assert plan["exact"] and plan["windows"] == 1
    assert sorted([one["offset"], one["offset"] + one["length"]] for one in plan["ranges"]) == sorted(ranges)
    assert sum(batch.num_rows for batch in batches) == (by_columns.matrix.nnz if layout == "coo" else 3000)


@pytest.mark.parametrize("layout", ["rows", "dense"])
def test_rows_of_columns_are_counted_once_and_read_once_per_window(by_columns, layout):
    client = Client(by_columns.site.serve(settings=NARROW).uri)
    request = {"key": by_columns.key, "node": "X", "layout": layout}
    batches, reads, ranges = by_columns.reads(client, request)
    windows = len(batches)
    assert windows > 5 and reads == {"indices": {windows + 1}, "data": {windows}}
    plan = client.action("explain", request)
    assert plan["exact"] is False and abs(plan["windows"] - windows) <= 1
    planned = {name: sum(one["length"] for one in plan["ranges"] if one["array"] == f"X/{name}") for name in reads}
    indices, data = planned["indices"] / (plan["windows"] + 1), planned["data"] / plan["windows"]
    assert sum(end - start for start, end in ranges) == (windows + 1) * indices + windows * data


def test_a_few_rows_of_columns_are_one_pass_in_narrow_windows(by_columns):
    """Few rows fit for certain, however many entries the columns have."""
    client = Client(by_columns.site.serve(settings=NARROW).uri)
    request = {"key": by_columns.key, "node": "X", "layout": "rows", "obs": {"index": [7, 2999, 7]}}
    batches, reads, _ = by_columns.reads(client, request)
    assert len(batches) == 1 and reads == {"indices": {1}, "data": {1}}
    assert (decode.array(client.direct(request)) != by_columns.matrix.tocsr()[[7, 2999, 7]]).nnz == 0


def test_rows_of_columns_come_from_one_endpoint(by_columns):
    """Each endpoint would read all of the columns again."""
    client = Client(by_columns.site.serve(settings='[limits]\nendpoint_bytes = "1 MiB"\n').uri)
    request = {"key": by_columns.key, "node": "X", "layout": "dense"}
    assert len(client.info(request).endpoints) == 1
    assert client.info(request).total_records == 3000
