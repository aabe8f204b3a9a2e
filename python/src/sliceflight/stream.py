"""Reading the answer to a slice request: several endpoints at the same time, rows in order.

Sits between `connection` and everything that turns Arrow into something else. An endpoint that becomes
unavailable is read again: a ticket may be used any number of times and pins the source's version, so
the rows that came already are the same and are skipped. Interprets no data.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from .connection import ATTEMPTS, Connection, Json, pause
from .errors import Unavailable, translating
from .progress import Progress, Report, reporter

PREFETCHED_BATCHES = 8
WAIT_SECONDS = 0.1


class Stream:
    """The answer to one request: `schema` at once, rows when they are asked for.

    `rows` is None where the server does not know it without reading.
    """

    def __init__(self, connection: Connection, request: Json) -> None:
        self._connection, self._request = connection, request
        self.info = connection.info(request)
        self.schema: pa.Schema = self.info.schema
        self.rows: int | None = self.info.total_records if self.info.total_records >= 0 else None

    def table(self) -> pa.Table:
        """The whole answer."""
        return pa.Table.from_batches(self.batches(prefetch=0), self.schema)

    def reader(self) -> pa.RecordBatchReader:
        """The answer as a reader that other libraries take."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def batches(self, prefetch: int = PREFETCHED_BATCHES) -> Iterator[pa.RecordBatch]:
        """Record batches in order. At most `prefetch` wait for each endpoint; 0 is no bound."""
        endpoints = self.info.endpoints
        if len(endpoints) <= 1 or self._connection.settings.parallel <= 1:
            found = self._one_by_one()
        else:
            found = _parallel(self._connection, [endpoint.ticket for endpoint in endpoints], prefetch)
        report = reporter(self._connection.settings.progress)
        return self._reported(found, report) if report else found

    def _one_by_one(self) -> Iterator[pa.RecordBatch]:
        for endpoint in self.info.endpoints:
            yield from _endpoint(self._connection, endpoint.ticket, 0)

    def _reported(self, batches: Iterator[pa.RecordBatch], report: Report) -> Iterator[pa.RecordBatch]:
        node = str(self._request.get("node") or self._request.get("key") or self._request.get("collection") or "rows")
        rows = size = 0
        for batch in batches:
            rows, size = rows + batch.num_rows, size + batch.nbytes
            report(Progress(node, rows, self.rows, size))
            yield batch
        report(Progress(node, rows, self.rows, size, done=True))


def read(connection: Connection, request: Json) -> pa.Table:
    """The whole answer to a request."""
    return Stream(connection, request).table()


def read_small(connection: Connection, request: Json) -> pa.Table:
    """The whole answer to a request for little data: one call instead of two."""
    return connection.attempt(lambda: connection.reader(request).read_all())


def _endpoint(connection: Connection, ticket: flight.Ticket, slot: int) -> Iterator[pa.RecordBatch]:
    """The batches of one endpoint, read again from where it broke while the server is unavailable."""
    delivered = attempt = 0
    while True:
        try:
            for batch in _after(connection, ticket, slot, delivered):
                delivered += batch.num_rows
                yield batch
            return
        except Unavailable:
            attempt += 1
            if attempt == ATTEMPTS:
                raise
            pause(attempt - 1)


def _after(connection: Connection, ticket: flight.Ticket, slot: int, skip: int) -> Iterator[pa.RecordBatch]:
    """The batches of a ticket behind its first `skip` rows."""
    reader = connection.reader(ticket, slot)
    try:
        while True:
            try:
                with translating():
                    batch = reader.read_chunk().data
            except StopIteration:
                return
            if skip >= batch.num_rows > 0:
                skip -= batch.num_rows
                continue
            yield batch.slice(skip) if skip else batch
            skip = 0
    finally:
        reader.cancel()  # ends the server's work when the caller stops early; nothing happens at the end


class _End(Exception):
    """The reader of a parallel stream went away."""


def _parallel(connection: Connection, tickets: list[flight.Ticket], prefetch: int) -> Iterator[pa.RecordBatch]:
    """Batches of all tickets in order, read by several threads that take the tickets in order."""
    lanes: list[queue.Queue[Any]] = [queue.Queue(prefetch) for _ in tickets]
    stop, todo = threading.Event(), iter(range(len(tickets)))
    lock = threading.Lock()

    def put(lane: queue.Queue[Any], item: Any) -> None:
        while not stop.is_set():
            try:
                return lane.put(item, timeout=WAIT_SECONDS)
            except queue.Full:
                continue
        raise _End

    def work(slot: int) -> None:
        while True:
            with lock:
                number = next(todo, None)
            if number is None or stop.is_set():
                return
            try:
                for batch in _endpoint(connection, tickets[number], slot):
                    put(lanes[number], batch)
                put(lanes[number], None)
            except _End:
                return
            except BaseException as error:  # handed to the thread that reads
                try:
                    put(lanes[number], error)
                except _End:
                    pass
                return

    count = min(connection.settings.parallel, len(tickets))
    threads = [threading.Thread(target=work, args=(slot,), daemon=True) for slot in range(count)]
    for thread in threads:
        thread.start()
    try:
        for lane in lanes:
            while (item := lane.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
    finally:
        stop.set()
