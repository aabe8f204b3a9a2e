"""Throughput of DoGet to pyarrow, by message size and by streams, with the CPU time of server and client.

    python benches/flight/throughput.py [--rounds 5] [--megabytes 1024]

Every server in turn, in each round, on the same 256 MiB of float32 in rows of 4 KiB:

* `kept`: sliceflight, the array in chunks of 4 MiB that its cache holds decoded and sends as they are: the least that its
  reading can cost, finding the artifact and planning;
* `file`: sliceflight, the same array contiguous in a local file, whose pages the kernel holds: reading included;
* `c++`: pyarrow's FlightServer (C++), batches of the same rows in memory, nothing is read or copied beforehand;
* `tcp`: as many bytes over a bare socket.

A stream is a connection, a call and a thread of the client. Answers are compared with the source beforehand.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import h5py
import numpy
import pyarrow
import pyarrow.flight as flight

import measure
import stack

COLUMNS = 1024
ROW_BYTES = 4 * COLUMNS
ROWS = 65_536
CHUNK_ROWS = 1024
SIZES = [64 << 10, 256 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20]
STREAMS = [1, 2, 4, 8]
STREAMED_SIZE = 2 << 20
CONFIGURATION = """
[limits]
memory_budget = "4 GiB"
chunk_cache_bytes = "512 MiB"
"""


def write_data(folder):
    """The same numbers as HDF5 (in chunks, and contiguous) and as Arrow."""
    values = numpy.random.default_rng(20_261_122).random((ROWS, COLUMNS), dtype=numpy.float32)
    with h5py.File(folder / "array.h5", "w") as file:
        # A filter makes of a chunk something that is decoded and kept; without one its parts are read by themselves.
        file.create_dataset("kept", data=values, chunks=(CHUNK_ROWS, COLUMNS), shuffle=True)
        file.create_dataset("file", data=values)
    flat = pyarrow.array(values.reshape(-1))
    table = pyarrow.table({"data": pyarrow.FixedSizeListArray.from_arrays(flat, COLUMNS)})
    with pyarrow.ipc.new_file(folder / "array.arrow", table.schema) as writer:
        writer.write_table(table)
    return values


class Sliceflight:
    """One array of the file, served by sliceflight."""

    def __init__(self, server, node):
        self.name, self.node, self.server = node, node, server
        self.pid, self.clients = server.process.pid, []

    def client(self, stream):
        """The connection of a stream, kept between measurements."""
        while len(self.clients) <= stream:
            self.clients.append(flight.connect(self.server.uri))
        return self.clients[stream]

    def ticket(self, start, stop, size):
        """Rows in messages of at most `size` bytes."""
        request = {"key": "array.h5", "node": self.node, "slice": f"{start}:{stop}", "max_batch_bytes": size + 1024}
        return flight.Ticket(json.dumps(request).encode())

    def read(self, stream, start, stop, size):
        """Reads rows; gives the number of batches."""
        batches = 0
        reader = self.client(stream).do_get(self.ticket(start, stop, size))
        while True:
            try:
                batches += reader.read_chunk().data.num_rows > 0
            except StopIteration:
                return batches


class Peer(Sliceflight):
    """The C++ server."""

    def ticket(self, start, stop, size):
        return flight.Ticket(json.dumps({"start": start, "stop": stop, "batch_rows": size // ROW_BYTES}).encode())


class Socket(Sliceflight):
    """The bare socket."""

    def client(self, stream):
        while len(self.clients) <= stream:
            host, port = self.server.uri.rpartition("//")[2].split(":")
            self.clients.append((socket.create_connection((host, int(port))), bytearray(8 << 20)))
        return self.clients[stream]

    def read(self, stream, start, stop, size):
        connection, buffer = self.client(stream)
        left, view = (stop - start) * ROW_BYTES, memoryview(buffer)
        connection.sendall(f"{left} {size}\n".encode())
        while left:
            left -= connection.recv_into(view, min(left, size))
        return (stop - start) * ROW_BYTES // size


def passes(server, size, streams, repeats):
    """All rows, `repeats` times, in as many parts as there are streams; gives the number of batches."""
    part = ROWS // streams
    counts = [0] * streams

    def work(stream):
        for _ in range(repeats):
            counts[stream] += server.read(stream, stream * part, (stream + 1) * part, size)

    threads = [threading.Thread(target=work, args=(stream,)) for stream in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def run(server, size, streams, repeats):
    """One measurement."""
    before = measure.cpu_seconds(server.pid), measure.cpu_seconds(os.getpid()), time.perf_counter()
    batches = passes(server, size, streams, repeats)
    after = measure.cpu_seconds(server.pid), measure.cpu_seconds(os.getpid()), time.perf_counter()
    gigabytes = repeats * ROWS * ROW_BYTES / 1e9
    server_cpu, client_cpu, seconds = (end - start for start, end in zip(before, after, strict=True))
    return {
        "server": server.name,
        "asked_bytes": size,
        "batch_bytes": round(repeats * ROWS * ROW_BYTES / max(batches, 1)),
        "streams": streams,
        "gigabytes": gigabytes,
        "seconds": round(seconds, 4),
        "server_cpu": round(server_cpu, 3),
        "client_cpu": round(client_cpu, 3),
    }


def check(server, values):
    """Refuses to time an answer that is not the source."""
    table = server.client(0).do_get(server.ticket(0, ROWS, STREAMED_SIZE)).read_all()
    found = numpy.concatenate([getattr(chunk, "storage", chunk).flatten().to_numpy() for chunk in table.column(-1).chunks])
    if not numpy.array_equal(found, values.reshape(-1)):
        sys.exit(f"{server.name}: the answer is not the source")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--results", type=Path, default=measure.RESULTS / "flight.jsonl")
    options = parser.parse_args()
    repeats = max(1, (options.megabytes << 20) // (ROWS * ROW_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        values = write_data(folder)
        (folder / "server.toml").write_text(CONFIGURATION)
        environment, registry = stack.bare_environment(), folder / "registry.db"
        stack.command(["register", folder / "array.h5", "--key", "array.h5", "--registry", registry], environment)
        peers = [[sys.executable, str(Path(__file__).with_name("peers.py")), kind] for kind in ("flight", "tcp")]
        with (
            stack.Server.start(
                registry, environment, folder / "log", "--config", str(folder / "server.toml")
            ) as sliceflight,
            stack.Program.launch([*peers[0], str(folder / "array.arrow")], environment, folder / "log") as batches,
            stack.Program.launch([*peers[1], "-"], environment, folder / "log") as bare,
        ):
            batches.uri, bare.uri = batches.address, bare.address
            servers = [Sliceflight(sliceflight, node) for node in ("kept", "file")]
            servers += [Peer(batches, "c++"), Socket(bare, "tcp")]
            for server in servers[:3]:
                # Twice: a chunk is kept when it is asked for again.
                check(server, values)
                check(server, values)
            del values
            results = measure.Results(options.results)
            cases = [(size, 1) for size in SIZES] + [(STREAMED_SIZE, streams) for streams in STREAMS[1:]]
            for number in range(options.rounds):
                for size, streams in cases:
                    # Each round begins with another server, so that none is always the one after the same.
                    for server in servers[number % 4 :] + servers[: number % 4]:
                        results.add(round=number, **run(server, size, streams, repeats))


if __name__ == "__main__":
    main()
