"""What a server refuses or fails at, as exceptions with the server's own message.

Sits between pyarrow, which folds sixteen gRPC codes into a few classes, and everything that calls a
server. Each code is a class here, and also the built-in class that Python code for arrays expects: a
missing name is a `KeyError`, a position out of bounds an `IndexError`.

>>> from sliceflight import errors
>>> issubclass(errors.NotFound, KeyError), issubclass(errors.OutOfRange, IndexError)
(True, True)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.flight as flight


class SliceflightError(Exception):
    """Any failure that a server reports. `message` is what it said."""

    code = "UNKNOWN"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message  # KeyError would print its repr


class NotFound(SliceflightError, KeyError):
    """No such key, uid, node, column or name."""

    code = "NOT_FOUND"


class InvalidArgument(SliceflightError, ValueError):
    """A malformed request, expression or shape."""

    code = "INVALID_ARGUMENT"


class OutOfRange(SliceflightError, IndexError):
    """A position outside its axis."""

    code = "OUT_OF_RANGE"


class FailedPrecondition(SliceflightError, ValueError):
    """The source changed since it was registered, is unfinished or was overwritten."""

    code = "FAILED_PRECONDITION"


class Unimplemented(SliceflightError, NotImplementedError):
    """A filter, encoding, type or action that this server does not have; the message names it."""

    code = "UNIMPLEMENTED"


class ResourceExhausted(SliceflightError, MemoryError):
    """A limit of the server was met; the message has its name and value."""

    code = "RESOURCE_EXHAUSTED"


class PermissionDenied(SliceflightError, PermissionError):
    """Outside the storages, or a change that the server does not allow."""

    code = "PERMISSION_DENIED"


class Unauthenticated(SliceflightError, PermissionError):
    """The server does not know the caller."""

    code = "UNAUTHENTICATED"


class Unavailable(SliceflightError, ConnectionError):
    """The server or the store behind it does not answer."""

    code = "UNAVAILABLE"


class DataLoss(SliceflightError, OSError):
    """Stored bytes are truncated or corrupt."""

    code = "DATA_LOSS"


class DeadlineExceeded(SliceflightError, TimeoutError):
    """The call took longer than its timeout."""

    code = "DEADLINE_EXCEEDED"


class Cancelled(SliceflightError, RuntimeError):
    """The call was cancelled."""

    code = "CANCELLED"


class Internal(SliceflightError, RuntimeError):
    """A fault of the server; its log has the cause."""

    code = "INTERNAL"


class MultipleResults(SliceflightError, ValueError):
    """A query that expected one record found several."""

    code = "MULTIPLE_RESULTS"


# pyarrow's words for a status, as its C++ library writes them before the server's message.
_WORDS: dict[str, type[SliceflightError]] = {
    "not found": NotFound,
    "invalid argument": InvalidArgument,
    "out-of-range": OutOfRange,
    "precondition failed": FailedPrecondition,
    "unimplemented": Unimplemented,
    "resource exhausted": ResourceExhausted,
    "unauthorized": PermissionDenied,
    "unauthenticated": Unauthenticated,
    "unavailable": Unavailable,
    "data loss": DataLoss,
    "timeout": DeadlineExceeded,
    "cancelled": Cancelled,
    "internal": Internal,
}
# And its classes, for texts without such words.
_CLASSES: tuple[tuple[type[BaseException], type[SliceflightError]], ...] = (
    (flight.FlightUnavailableError, Unavailable),
    (flight.FlightTimedOutError, DeadlineExceeded),
    (flight.FlightCancelledError, Cancelled),
    (flight.FlightUnauthenticatedError, Unauthenticated),
    (flight.FlightUnauthorizedError, PermissionDenied),
    (pa.ArrowKeyError, NotFound),
    (pa.ArrowNotImplementedError, Unimplemented),
    (flight.FlightInternalError, Internal),
    (flight.FlightError, SliceflightError),
)
_STATUS = re.compile(r"(?:Flight|gRPC) returned ([a-z -]+) error, with message: ", re.DOTALL)
_DEBUG = re.compile(r"\.? (?:gRPC client debug context: |Client context: |Detail: (?:Internal|Failed|Unavailable)\b)")


def translated(error: BaseException) -> SliceflightError | None:
    """The exception of this module for one that pyarrow raised in a call; None when it is not from one."""
    text = str(error)
    match = _STATUS.search(text)
    if match is None:
        for raised, meant in _CLASSES:
            if isinstance(error, raised):
                return meant(_DEBUG.split(text)[0])
        return None
    kind = _WORDS.get(match.group(1), SliceflightError)
    return kind(_DEBUG.split(text[match.end() :])[0])


@contextmanager
def translating() -> Iterator[None]:
    """Turns what pyarrow raises inside into the exceptions of this module.

    # Raises
    The subclass of `SliceflightError` for the server's code; anything else as it is.
    """
    try:
        yield
    except (pa.ArrowException, KeyError, OSError) as error:
        meant = None if isinstance(error, SliceflightError) else translated(error)
        if meant is None:
            raise
        raise meant from error
