"""Peak memory of the server against the size of the slice, and what it holds when idle.

    python benches/memory.py [--rounds 3] [--largest-mebibytes 2048]

Per kind of array (contiguous, in chunks with gzip, CSR) slices from 1 MiB to 2 GiB, by a client that takes each batch
and lets it go. Before each slice the server's peak is set back to what it holds then; the default limits hold
(`memory_budget` 1 GiB). The files are sparse on disk or hold numbers that compress well: what counts is how much is
answered.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import h5py
import numpy
import pyarrow.flight as flight

sys.path.insert(0, str(Path(__file__).resolve().parent / "flight"))

import measure  # noqa: E402
import stack  # noqa: E402

COLUMNS = 1024
ROW_BYTES = 4 * COLUMNS
ENTRIES = 1024  # entries of each CSR row: 4 bytes of a column and 4 of a value each


def write_data(folder, mebibytes):
    """Files of which all rows are an answer of `mebibytes`."""
    rows = (mebibytes << 20) // ROW_BYTES
    block = numpy.repeat(numpy.arange(COLUMNS, dtype=numpy.float32)[None], 256, 0)
    with h5py.File(folder / "dense.h5", "w") as file:
        # Never written: the pages are holes that read as zeros.
        contiguous = file.create_dataset("contiguous", (rows, COLUMNS), "f4")
        contiguous[rows - 1] = 1
        options = {"chunks": (256, COLUMNS), "compression": "gzip", "compression_opts": 1, "shuffle": True}
        chunked = file.create_dataset("gzip", (rows, COLUMNS), "f4", **options)
        for start in range(0, rows, 256):
            chunked[start : start + 256] = block[: rows - start]
    cells = rows // 2
    with h5py.File(folder / "cells.h5ad", "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        matrix = file.create_group("X")
        matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [cells, 2 * ENTRIES]})
        matrix["indptr"] = numpy.arange(cells + 1, dtype=numpy.int64) * ENTRIES
        options = {"chunks": (26_689,), "compression": "gzip", "compression_opts": 1}
        data = matrix.create_dataset("data", (cells * ENTRIES,), "f4", **options)
        indices = matrix.create_dataset("indices", (cells * ENTRIES,), "i4", **options)
        step = 256 * ENTRIES
        for start in range(0, cells * ENTRIES, step):
            here = min(step, cells * ENTRIES - start) // ENTRIES
            data[start : start + step] = numpy.tile(numpy.arange(ENTRIES, dtype=numpy.float32), here)
            indices[start : start + step] = numpy.tile(numpy.arange(0, 2 * ENTRIES, 2, dtype=numpy.int32), here)
        for name, length in (("obs", cells), ("var", 2 * ENTRIES)):
            frame = file.create_group(name)
            attributes = {"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"}
            frame.attrs.update(attributes | {"column-order": numpy.array([], dtype=h5py.string_dtype())})
            names = frame.create_dataset("_index", data=[f"{name}{at}" for at in range(length)], dtype=h5py.string_dtype())
            names.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    return {"contiguous": ("dense.h5", "contiguous", 1), "gzip": ("dense.h5", "gzip", 1), "csr": ("cells.h5ad", "X", 2)}


def take(client, key, node, rows):
    """Reads rows; gives the bytes of the batches."""
    request = {"key": key, "node": node, "axes": [{"slice": {"stop": rows}}]}
    reader, taken = client.do_get(flight.Ticket(json.dumps(request).encode())), 0
    while True:
        try:
            taken += reader.read_chunk().data.get_total_buffer_size()
        except StopIteration:
            return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--largest-mebibytes", type=int, default=2048)
    parser.add_argument("--results", type=Path, default=measure.RESULTS / "memory.jsonl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        kinds = write_data(folder, options.largest_mebibytes)
        environment, registry = stack.bare_environment(), folder / "registry.db"
        stack.command(["register", folder / "dense.h5", folder / "cells.h5ad", "--registry", registry], environment)
        results = measure.Results(options.results)
        for number in range(options.rounds):
            # A server of its own for each round and kind: what one kind left in the caches is not counted for another.
            for kind, (key, node, row_parts) in kinds.items():
                with stack.Server.start(registry, environment, folder / "log") as server:
                    pid, client = server.process.pid, flight.connect(server.uri)
                    idle = measure.memory(pid, "VmRSS")
                    mebibytes = 1
                    while mebibytes <= options.largest_mebibytes:
                        measure.forget_peak(pid)
                        before = measure.memory(pid, "VmRSS")
                        taken = take(client, key, node, (mebibytes << 20) // ROW_BYTES // row_parts)
                        peak, after = measure.memory(pid, "VmHWM"), measure.memory(pid, "VmRSS")
                        facts = {"kind": kind, "asked_mebibytes": mebibytes, "answer_bytes": taken, "started": idle}
                        results.add(round=number, **facts, before=before, peak=peak, after=after)
                        mebibytes *= 4 if mebibytes < 1024 else 2
                    client.close()


if __name__ == "__main__":
    main()
