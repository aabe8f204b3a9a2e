"""What a cold index of a large file costs: requests and bytes of the built program, from a real server.

The file has 121 MB, 4,096 chunks in X and some 60 datasets. How many rounds of requests depend on each other is counted
with virtual time in `src/format/hdf5/tests/index.rs`; time is not measured here.
"""

import importlib.util

import pytest

import decode
import stack
from wire import Client

MB = 1_000_000


def generator(name):
    """The script `tests/fixtures/generate_<name>.py` as a module."""
    spec = importlib.util.spec_from_file_location(f"generate_{name}", stack.FIXTURES / f"generate_{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def large(site):
    """The generator of the large file, which is in the bucket."""
    large = generator("large")
    assert 110 * MB < large.generate(site.bucket / "large.h5ad") < 130 * MB
    return large


def read(site):
    """Requests and bytes since the last reset."""
    stats = site.cloud.stats()
    site.cloud.reset()
    return stats["requests"], stats["bytes_sent"]


def test_a_cold_index_of_a_large_file(site, large):
    site.cloud.reset()
    site.register("large.h5ad")
    requests, size = read(site)
    assert requests <= 24 and size < 2 * MB, "the tree, without a chunk table"
    client = Client(site.serve().uri)
    request = {"key": "large.h5ad", "node": "X", "obs": {"slice": {"start": 9000, "stop": 9010}}}
    nodes = client.action("tree", {"key": "large.h5ad"})["nodes"]
    assert {"X/data", "obs/cell_type/codes", "obsm/X_pca"} <= {node["path"] for node in nodes}
    assert read(site) == (0, 0), "the tree is kept"
    client.action("explain", request)
    more, tables = read(site)
    assert more <= 90 and 2 * MB < size + tables < 8 * MB, "the chunk tables of X, all leaves of their B-trees"
    assert client.direct(request).num_rows == 10
    rows, of_rows = read(site)
    assert rows <= 3 and of_rows < MB, "one chunk each of data and indices"
    print(f"\ntree: {requests} requests, {size:,} bytes; tables of X: {more}, {tables:,}; ten rows: {rows}, {of_rows:,}")


def test_the_index_is_kept(site, large):
    """After a restart nothing of the index is read again."""
    if site.register("large.h5ad", check=False).returncode:
        pytest.fail("the file does not register")
    request = {"key": "large.h5ad", "node": "X", "obs": {"index": [7]}}
    Client(site.serve().uri).direct(request)
    site.cloud.reset()
    found = Client(site.serve().uri).direct(request)
    assert decode.array(found).shape == (1, large.GENES) and decode.array(found).nnz == large.PER_CELL
    requests, size = read(site)
    assert requests <= 3 and size < MB
