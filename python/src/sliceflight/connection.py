"""One server: its Flight connections, the calls on it, and which of them are repeated.

Sits between pyarrow's Flight client and everything that asks something. It can be pickled, and then
connects anew, so accessors work in worker processes that were spawned (torch, dask, ray). gRPC does not
live through a fork: there it says so instead of waiting for ever. It knows nothing of artifacts.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.flight as flight

from .errors import Unavailable, translating
from .progress import Report

Json = dict[str, Any]
Answer = TypeVar("Answer")

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.1
CONNECTIONS = 2
# The process that connected first; a forked child inherits it.
_connected_in: int | None = None
FORKED = (
    "this process was forked from one that was connected, and gRPC does not live through a fork: "
    "start workers with the method 'spawn' or 'forkserver'"
)
# Buffers of small messages begin anywhere; only those are copied to where their type wants them.
ALIGNED = pa.ipc.IpcReadOptions(ensure_alignment=pa.ipc.Alignment.DataTypeSpecific)


@dataclass(frozen=True)
class Settings:
    """How to reach a server, and how to read from it."""

    url: str
    token: str | None = field(default=None, repr=False)
    tls_roots: bytes | None = field(default=None, repr=False)
    timeout: float | None = None
    parallel: int = 4
    progress: bool | Report | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Connection:
    """A server that can be asked."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._clients: dict[int, flight.FlightClient] = {}
        self._actions: frozenset[str] | None = None

    def action(self, name: str, body: Json, repeat: bool = True) -> Json:
        """The one JSON result of an action; `repeat` when asking twice does no harm."""
        results = self.attempt(lambda: list(self.results(name, body)), repeat)
        if len(results) != 1:
            raise ValueError(f"action '{name}' gave {len(results)} results, expected one")
        return results[0]

    @property
    def actions(self) -> frozenset[str]:
        """The names of the actions that the server has, asked once."""
        if self._actions is None:
            listed = self.attempt(lambda: list(self._client().list_actions(self._options())))
            self._actions = frozenset(action.type for action in listed)
        return self._actions

    def pages(self, name: str, body: Json) -> Iterator[Json]:
        """The JSON results of an action that answers in pages, of all pages."""
        token: str | None = None
        while True:
            asked = body if token is None else {**body, "page_token": token}
            token = None
            for result in self._page(name, asked):
                if result.get("type") == "page":
                    token = result.get("next_page_token")
                else:
                    yield result
            if not token:
                return

    def results(self, name: str, body: Json) -> Iterator[Json]:
        """The JSON results of an action, as they arrive."""
        action = flight.Action(name, json.dumps(body).encode())
        with translating():
            for result in self._client().do_action(action, self._options()):
                yield json.loads(result.body.to_pybytes())

    def info(self, request: Json) -> flight.FlightInfo:
        """`GetFlightInfo`: schema, rows and endpoints of a slice. Reads no data but what a filter needs."""
        descriptor = flight.FlightDescriptor.for_command(json.dumps(request).encode())
        return self.attempt(lambda: self._client().get_flight_info(descriptor, self._options()))

    def reader(self, ticket: flight.Ticket | Json, slot: int = 0) -> flight.FlightStreamReader:
        """`DoGet` of a ticket, or of a slice request used as one. `slot` spreads streams over connections."""
        if not isinstance(ticket, flight.Ticket):
            ticket = flight.Ticket(json.dumps(ticket).encode())
        with translating():
            return self._client(slot).do_get(ticket, self._options())

    def attempt(self, call: Callable[[], Answer], repeat: bool = True) -> Answer:
        """What `call` gives; while the server is unavailable it is repeated, with growing pauses."""
        for number in range(ATTEMPTS):
            try:
                with translating():
                    return call()
            except Unavailable:
                if not repeat or number + 1 == ATTEMPTS:
                    raise
                pause(number)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def close(self) -> None:
        """Closes this process's connections; a later call opens new ones."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _page(self, name: str, body: Json) -> list[Json]:
        return self.attempt(lambda: list(self.results(name, body)))

    def _client(self, slot: int = 0) -> flight.FlightClient:
        global _connected_in
        if _connected_in not in (None, os.getpid()):
            raise RuntimeError(FORKED)
        with self._lock:
            place = slot % CONNECTIONS
            if place not in self._clients:
                _connected_in = os.getpid()
                self._clients[place] = self._connected()
            return self._clients[place]

    def _connected(self) -> flight.FlightClient:
        options: list[tuple[str, str | int]] = []
        if self.settings.url.startswith("grpc+unix:"):
            # gRPC would send the socket's path as the authority, which HTTP/2 servers refuse.
            options.append(("grpc.default_authority", "localhost"))
        return flight.FlightClient(
            self.settings.url, tls_root_certs=self.settings.tls_roots, generic_options=options or None
        )

    def _options(self) -> flight.FlightCallOptions:
        headers = [(name.lower().encode(), value.encode()) for name, value in self.settings.headers.items()]
        if self.settings.token is not None:
            headers.append((b"authorization", b"Bearer " + self.settings.token.encode()))
        return flight.FlightCallOptions(timeout=self.settings.timeout, headers=headers, read_options=ALIGNED)

    def __reduce__(self) -> tuple[type[Connection], tuple[Settings]]:
        return (Connection, (self.settings,))

    def __repr__(self) -> str:
        return f"<sliceflight.Connection {self.settings.url}>"


def pause(number: int) -> None:
    """Waits before attempt `number` + 2: twice as long each time, and not all clients at once."""
    time.sleep(FIRST_PAUSE_SECONDS * 2**number * (0.5 + random.random()))


def roots(given: bytes | str | os.PathLike[str] | None) -> bytes | None:
    """The PEM certificates of `tls_roots`: bytes, or the path of a file."""
    return given if given is None or isinstance(given, bytes) else Path(given).read_bytes()
