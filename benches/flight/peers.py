"""What sliceflight is measured against: `python peers.py (flight|tcp) FILE`, each a process of its own.

`flight` is pyarrow's FlightServer, whose transport and encoder are Arrow's C++: it serves the batches of an Arrow IPC
file from memory. `tcp` sends bytes from memory over a bare socket, without a protocol. Both print
`listening on grpc://HOST:PORT`.
"""

import json
import socket
import sys
import threading

import pyarrow
import pyarrow.flight as flight


class Batches(flight.FlightServerBase):
    """Serves one array from memory; a ticket names rows, and rows of a batch."""

    def __init__(self, column):
        super().__init__("grpc://127.0.0.1:0")
        self.column = column
        self.tables = {}

    def do_get(self, _context, ticket):
        wanted = json.loads(ticket.ticket)
        # The reader of a table is C++: no Python runs between two batches.
        return flight.RecordBatchStream(self.table(wanted["batch_rows"], wanted["start"], wanted["stop"]))

    def table(self, batch_rows, start, stop):
        """Rows of the array in batches, without a copy."""
        name = (batch_rows, start, stop)
        if name not in self.tables:
            starts = range(start, stop, batch_rows)
            chunks = [self.column.slice(at, min(batch_rows, stop - at)) for at in starts]
            self.tables[name] = pyarrow.table({"data": pyarrow.chunked_array(chunks)})
        return self.tables[name]


def serve_flight(path):
    with pyarrow.OSFile(path) as file:
        column = pyarrow.ipc.open_file(file).read_all().column(0)
    server = Batches(pyarrow.concat_arrays(column.chunks) if column.num_chunks > 1 else column.chunk(0))
    print(f"listening on grpc://127.0.0.1:{server.port}", flush=True)
    server.serve()


def serve_tcp(_path):
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on grpc://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    source = memoryview(bytearray(64 << 20))
    while True:
        threading.Thread(target=send, args=(listener.accept()[0], source), daemon=True).start()


def send(connection, source):
    """Answers lines `BYTES MESSAGE_BYTES` with as many bytes, a message at a time."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("r") as lines:
        for line in lines:
            left, message = map(int, line.split())
            at = 0
            while left:
                part = min(message, left)
                at = 0 if at + part > len(source) else at
                connection.sendall(source[at : at + part])
                left, at = left - part, at + part


if __name__ == "__main__":
    {"flight": serve_flight, "tcp": serve_tcp}[sys.argv[1]](sys.argv[2])
