"""How times and memory grow: with the rows in a file, with chunks, with users, with the slice.

    python benches/cloud/scale.py [--scale full] [--rounds 3]

Only sliceflight is measured, against the same simulated cloud as in `run.py`; raw results go to
`benches/results/scale-<scale>.jsonl`, their summary to `docs/benchmarks.md` with the rest.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(PROJECT / "tools")]

import numpy  # noqa: E402

import machine  # noqa: E402
import process  # noqa: E402
from data import long_files  # noqa: E402
from data.keys import BUCKET  # noqa: E402
from data.sizes import SCALES, SEED  # noqa: E402
from data.store import Store  # noqa: E402
from results import Writer  # noqa: E402
from runner import watched  # noqa: E402
from stage import Stage  # noqa: E402

#: Rows of the matrices, in chunks' worth of rows, and chunks of the arrays.
ROWS = {"full": (20, 196, 1_954, 19_532), "small": (2, 20)}
CHUNKS = {"full": (1_000, 10_000, 100_000, 1_000_000), "small": (100, 1_000)}
USERS = {"full": 64, "small": 8}


class Scale:
    """All measurements on one stage."""

    def __init__(self, stage, rounds, write):
        self.stage, self.rounds, self.write = stage, rounds, write
        self.name, self.sizes = stage.store.sizes.name, stage.store.sizes

    def all(self):
        """Everything, in order."""
        for turn in range(self.rounds):
            for chunks in ROWS[self.name]:
                self.rows(chunks * long_files.ROWS_PER_CHUNK, turn)
            for chunks in CHUNKS[self.name]:
                self.cold_open(chunks, turn)
            self.users(turn)
            self.memory(turn)

    def rows(self, rows, turn):
        """Contiguous and random rows of matrices that differ only in how many rows there are; indexes are known."""
        url, count = self.url(matrix_name(rows)), min(1000, rows // 2)
        chosen = numpy.random.default_rng([SEED, 11]).choice(rows, count, replace=False)
        start = rows // 2
        requests = {
            "contiguous": {"url": url, "node": "X", "slice": f"{start}:{start + count}"},
            "random": {"url": url, "node": "X", "axes": [{"index": numpy.sort(chosen).tolist()}, {}]},
        }
        registry = self.stage.folder / f"scale-{rows}.db"
        if not registry.exists():
            with self.stage.serve(registry) as server:
                self.read(server, [requests["contiguous"] | {"slice": "0:1"}])
        for kind, request in requests.items():
            with self.stage.serve(registry) as server:
                self.record("rows", turn, self.read(server, [request]), kind=kind, file_rows=rows, asked=count)

    def cold_open(self, chunks, turn):
        """The first 10 elements of an unseen array, by its number of chunks."""
        registry = self.stage.folder / f"cold-{chunks}-{turn}.db"
        with self.stage.serve(registry) as server:
            request = {"url": self.url(chunks_name(chunks)), "node": "values", "slice": "0:10"}
            self.record("chunks", turn, self.read(server, [request]), chunks=chunks)

    def users(self, turn):
        """One user reading all of X, then many users reading a thousand rows each, each on a new server."""
        count, cells = USERS[self.name], self.sizes.cells
        url, step = self.url("cells_gzip.h5ad"), self.sizes.cells // count
        part = min(self.sizes.rows, step)
        slices = [f"{start}:{start + part}" for start in range(0, step * count, step)]
        asked = {"one reads all": [f"0:{cells}"], f"{count} read {part} rows": slices}
        for kind, texts in asked.items():
            with self.stage.server("warm", "gzip") as server:
                requests = [{"url": url, "node": "X", "slice": text} for text in texts]
                self.record("users", turn, self.read(server, requests), kind=kind)

    def memory(self, turn):
        """The peak of a server against the slice that it sends, and its size when it has done nothing."""
        with self.stage.server("warm", "gzip") as server:
            time.sleep(1)
            self.record("idle", turn, {"server_idle": process.resident(server.process.pid, "VmRSS")})
        for share in (0.001, 0.01, 0.1, 0.5, 1.0):
            rows = max(1, int(self.sizes.cells * share))
            with self.stage.server("warm", "gzip") as server:
                request = {"url": self.url("cells_gzip.h5ad"), "node": "X", "slice": f"0:{rows}"}
                self.record("memory", turn, self.read(server, [request]), asked=rows)

    def read(self, server, requests):
        """Time, memory, requests and bytes of streams that are read at the same time."""
        order = json.dumps({"uri": server.uri, "requests": requests})
        with watched(server.process.pid) as of_server:
            self.stage.cloud.reset()
            command = [sys.executable, str(HERE / "readers.py")]
            done = subprocess.run(command, input=order, capture_output=True, text=True, timeout=600, check=True)
            stats = self.stage.cloud.stats()
        found = json.loads(done.stdout) | {"requests": stats["requests"], "bytes": stats["bytes_sent"]}
        return found | {f"server_{name}": value for name, value in of_server.items()}

    def record(self, what, turn, found, **about):
        """Writes one measurement."""
        line = {"what": what, "round": turn} | about | found
        self.write(line)
        shown = (
            f"{found['wall']:8.3f} s {found['requests']:5} requests {found['bytes'] / 1e6:8.1f} MB"
            if "wall" in found
            else ""
        )
        print(
            turn + 1, what, about, shown, found.get("error", ""), f"{found.get('server_peak', 0) >> 20} MiB", flush=True
        )

    def url(self, key):
        """The URL of an object of the benchmark."""
        return f"s3://{BUCKET}/{key}"


def matrix_name(rows):
    """The key of a matrix of so many rows."""
    return f"rows_{rows}.h5"


def chunks_name(chunks):
    """The key of an array of so many chunks."""
    return f"chunks_{chunks}.h5"


def generate(store):
    """Writes what is not there yet."""
    wanted = {
        matrix_name(count * long_files.ROWS_PER_CHUNK): (long_files.matrix, count * long_files.ROWS_PER_CHUNK)
        for count in ROWS[store.sizes.name]
    }
    wanted |= {chunks_name(count): (long_files.many_chunks, count) for count in CHUNKS[store.sizes.name]}
    for key, (write, count) in wanted.items():
        target = store.bucket / key
        if not target.exists():
            store.check_space()
            fresh = store.folder / f"unfinished-{key}"
            write(fresh, count)
            fresh.rename(target)
            print(f"wrote {key}: {target.stat().st_size / 1e6:.1f} MB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--data", default=os.environ.get("BENCH_DATA"))
    parser.add_argument("--output")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    for name in ("sliceflight", "simcloud"):
        os.environ.setdefault(f"{name.upper()}_BIN", str(target / "release" / name))
    store = Store(options.data or target / "bench-data", SCALES[options.scale])
    store.ensure(["gzip"])
    generate(store)
    output = options.output or PROJECT / "benches" / "results" / f"scale-{options.scale}.jsonl"
    writer = Writer(output, machine.described() | {"scale": options.scale})
    with tempfile.TemporaryDirectory() as folder, Stage.open(store, folder) as stage:
        stage.register("gzip")
        scale = Scale(stage, options.rounds, writer.write)
        with stage.serve(stage.kept_registry("gzip")) as server:
            scale.read(server, [{"url": scale.url("cells_gzip.h5ad"), "node": "X", "slice": "0:1"}])
        scale.all()


if __name__ == "__main__":
    main()
