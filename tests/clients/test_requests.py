"""The exact requests of the usual tasks, cold and warm, as committed texts (`snapshots/requests_*.txt`).

Cold is a new server with a new registration; warm is the same request again. The gap between merged ranges
is fixed, as it would follow the store otherwise. `SNAPSHOTS=write` writes the texts anew: look at the
difference before committing it. Ranges of HDF5 files say which chunks they hold.
"""

import os
import zipfile
from pathlib import Path

import h5py
import numpy
import pytest

import decode
import stack
from wire import Client

FIXTURES = stack.FIXTURES / "requests"
SNAPSHOTS = Path(__file__).parent / "snapshots"
SETTINGS = '[limits]\nmerge_gap = "512 B"\n'
CELLS = ("cells.h5ad", "cells_v2.zarr", "cells_v3.zarr")
TASKS = {
    "T1 tree": None,
    "T2 filter to rows of X": {
        "node": "X",
        "obs": {"where": "cell_type IN ('type 3', 'type 7') AND percent_mito <= 0.3"},
    },
    "T3 contiguous rows of X": {"node": "X", "obs": {"slice": {"start": 200, "stop": 220}}},
    "T4 random rows of X": {"node": "X", "obs": {"index": [333, 8, 120, 77, 251, 8, 399, 190]}},
    "T5 one gene": {"node": "X", "var": {"names": ["gene77"]}},
    "T6 X_pca": {"node": "obsm/X_pca"},
}
HYPERSLAB = {"node": "field", "slice": "5:9, 12:28, 33:52"}


class Recorder:
    """Asks each task of a new server with a new registration, and writes what the store was asked for."""

    def __init__(self, site):
        self.site = site
        for key in CELLS[1:]:
            with zipfile.ZipFile(FIXTURES / f"{key}.zip") as archive:
                archive.extractall(site.bucket / "requests" / key)
        for key in ("cells.h5ad", "grid.h5"):
            site.put(f"requests/{key}", FIXTURES / key)

    def record(self, key, task, request):
        """The answer, and the text of the requests, cold and warm."""
        name = f"requests/{key}"
        registry = self.site.folder / f"{key}-{task[:2]}.db"
        command = ["register", f"s3://{stack.BUCKET}/{name}", "--key", name, "--registry", registry]
        stack.command(command, self.site.environment)
        settings = self.site.folder / "requests.toml"
        settings.write_text(SETTINGS)
        log = self.site.folder / "requests.log"
        with stack.Server.start(registry, self.site.environment, log, "--config", str(settings)) as server:
            client, lines = Client(server.uri), [f"== {task}"]
            for state in ("cold", "warm"):
                self.site.cloud.reset()
                answer = client.action("tree", {"key": name}) if request is None else client.direct(request | {"key": name})
                lines += self.lines(key, state)
            client.close()
        return answer, "\n".join(lines) + "\n"

    def lines(self, key, state):
        entries = self.site.cloud.log_entries()
        assert all(entry["status"] in (200, 206) for entry in entries), entries
        assert all(entry["if_match"] for entry in entries if entry["method"] == "GET"), "every read is pinned"
        asked = sorted((entry["key"], entry["method"], entry["range"] or [0, 0]) for entry in entries)
        chunks = chunks_of(FIXTURES / key) if key.startswith(("cells.h5", "grid")) else {}
        moved = sum(entry["bytes"] for entry in entries)
        yield f"{state}: {len(asked)} requests, {moved} bytes"
        for path, method, (start, end) in asked:
            held = " ".join(inside(name, ranges, start, end) for name, ranges in chunks.items())
            yield f"  {method} {path.removeprefix('requests/')} {start}..{end} {' '.join(held.split())}".rstrip()


def chunks_of(path):
    """The byte ranges of the chunks of every dataset, in order of the grid."""
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset) and node.chunks:
            infos = [node.id.get_chunk_info(place) for place in range(node.id.get_num_chunks())]
            found[name] = [(info.byte_offset, info.byte_offset + info.size) for info in infos]
        elif isinstance(node, h5py.Dataset) and node.id.get_offset() is not None:
            found[name] = [(node.id.get_offset(), node.id.get_offset() + node.id.get_storage_size())]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def inside(name, ranges, start, end):
    """Which of the chunks lie in `start..end`, as `name[3-5,9]`."""
    places = [place for place, (first, last) in enumerate(ranges) if start <= first and last <= end]
    runs = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return f"{name}[{','.join(texts)}]" if texts else ""


def check(name, text):
    """The text is that of the committed snapshot, or becomes it."""
    path = SNAPSHOTS / f"requests_{name}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(text)
    assert path.read_text() == text, f"requests of {name} changed: SNAPSHOTS=write shows how"


@pytest.fixture(scope="module")
def recorder(site):
    return Recorder(site)


@pytest.mark.parametrize("key", CELLS)
def test_requests_of_cells(recorder, key):
    texts, answers = [], {}
    for task, request in TASKS.items():
        answers[task[:2]], text = recorder.record(key, task, request)
        texts.append(text)
    check(key, "\n".join(texts))
    same_answers(answers)


def same_answers(answers):
    """Right, too: all files hold the same matrix."""
    with h5py.File(FIXTURES / "cells.h5ad") as file:
        data, indices = file["X/data"][:].reshape(400, 50), file["X/indices"][:].reshape(400, 50)
        codes, mito = file["obs/cell_type/codes"][:], file["obs/percent_mito"][:]
        x = numpy.zeros((400, 600), "f4")
        numpy.put_along_axis(x, indices, data, axis=1)
        numpy.testing.assert_array_equal(decode.array(answers["T6"]), file["obsm/X_pca"][:])
    rows = numpy.flatnonzero(numpy.isin(codes, [3, 7]) & (mito <= numpy.float32(0.3)))
    assert 0 < len(rows) < 40
    numpy.testing.assert_array_equal(decode.array(answers["T2"]).toarray(), x[rows])
    numpy.testing.assert_array_equal(decode.array(answers["T3"]).toarray(), x[200:220])
    numpy.testing.assert_array_equal(decode.array(answers["T4"]).toarray(), x[TASKS["T4 random rows of X"]["obs"]["index"]])
    numpy.testing.assert_array_equal(decode.array(answers["T5"]).toarray(), x[:, [77]])


def test_requests_of_a_hyperslab(recorder):
    answer, text = recorder.record("grid.h5", "T9 hyperslab", HYPERSLAB)
    check("grid.h5", text)
    with h5py.File(FIXTURES / "grid.h5") as file:
        numpy.testing.assert_array_equal(decode.array(answer), file["field"][5:9, 12:28, 33:52])
