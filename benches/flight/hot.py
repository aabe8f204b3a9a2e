"""Small hot slices: how many DoGets per second one server answers, and how long each takes at half of that.

    python benches/flight/hot.py [--rounds 5] [--seconds 5]

The client is `flight-load` (Rust, beside the server on the same cores). Slices of 40 kB each at 256 places: rows of a
dense array that was compressed with gzip, and rows of the CSR matrix of an h5ad, both decoded and kept by the server
after they were asked for twice. Each round measures the most answers per second with 16 waiting, and then, with requests
due at fixed times at half of the median rate, how long they take.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata
import h5py
import numpy
import pandas
import scipy.sparse

import measure
import stack

COLUMNS = 1024
CELLS, GENES, DENSITY = 20_000, 5_000, 0.068
PLACES = 256
ANSWER_BYTES = 40_000


def write_data(folder):
    """A dense array and an AnnData; gives the rows of each that are about an answer."""
    chance = numpy.random.default_rng(20_261_122)
    with h5py.File(folder / "dense.h5", "w") as file:
        values = chance.random((10_000, COLUMNS), dtype=numpy.float32).round(2)
        file.create_dataset("data", data=values, chunks=(64, COLUMNS), compression="gzip", shuffle=True)
    counts = scipy.sparse.random(CELLS, GENES, density=DENSITY, format="csr", rng=chance, dtype=numpy.float32)
    names = [pandas.DataFrame(index=[f"{word}{at}" for at in range(most)]) for word, most in (("c", CELLS), ("g", GENES))]
    anndata.AnnData(counts, obs=names[0], var=names[1]).write_h5ad(folder / "cells.h5ad", compression="gzip")
    dense_rows = ANSWER_BYTES // (4 * COLUMNS)
    sparse_rows = int(ANSWER_BYTES // (8 * GENES * DENSITY))
    return {"dense": ("dense.h5", "data", 10_000, dense_rows), "csr": ("cells.h5ad", "X", CELLS, sparse_rows)}


def write_tickets(path, key, node, rows, each):
    """Requests as JSON, a line each, spread over a part of the rows."""
    starts = [place * (rows - each) // PLACES for place in range(PLACES)]
    requests = [{"key": key, "node": node, "axes": [{"slice": {"start": at, "stop": at + each}}]} for at in starts]
    path.write_text("".join(json.dumps(request) + "\n" for request in requests))


def load(server, tickets, **options):
    """Runs the client; gives its report with the CPU time of the server."""
    program = os.environ.get("FLIGHT_LOAD_BIN") or Path(os.environ["CARGO_TARGET_DIR"]) / "release" / "flight-load"
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    words += [f"--server={server.uri}", f"--process={server.process.pid}", f"--tickets={tickets}"]
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120)
    if done.returncode:
        sys.exit(f"flight-load ended with {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    if report["odd_answers"]:
        sys.exit(f"{report['odd_answers']} answers were not those of the first time")
    return {name: round(value, 3) for name, value in report.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--kinds", nargs="+", default=["dense", "csr"])
    parser.add_argument("--results", type=Path, default=measure.RESULTS / "hot.jsonl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        kinds = write_data(folder)
        environment, registry = stack.bare_environment(), folder / "registry.db"
        stack.command(["register", folder / "dense.h5", folder / "cells.h5ad", "--registry", registry], environment)
        listed = stack.command(["ls", "--registry", registry, "--json"], environment).stdout
        keys = [key for key in ("dense.h5", "cells.h5ad") if key in listed]
        assert len(keys) == 2, listed
        with stack.Server.start(registry, environment, folder / "log") as server:
            print(f"server {server.uri}, process {server.process.pid}", file=sys.stderr)
            for kind in options.kinds:
                write_tickets(folder / kind, *kinds[kind])
                load(server, folder / kind, seconds=1)
            results = measure.Results(options.results)
            rates = {kind: [] for kind in options.kinds}
            for number in range(options.rounds):
                for kind in options.kinds:
                    report = load(server, folder / kind, concurrent=16, seconds=options.seconds)
                    rates[kind].append(report["per_second"])
                    results.add(round=number, kind=kind, mode="most", **report)
            for number in range(options.rounds):
                for kind in options.kinds:
                    half = round(statistics.median(rates[kind]) / 2)
                    report = load(server, folder / kind, concurrent=64, seconds=options.seconds, rate=half)
                    results.add(round=number, kind=kind, mode="half", rate=half, **report)


if __name__ == "__main__":
    main()
