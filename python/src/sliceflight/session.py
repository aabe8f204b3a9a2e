"""`ln = sf.connect(url)`: the registries of one server under LaminDB's names.

Sits on top of everything else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from .artifact import Artifact
from .collection import Collection
from .connection import Connection, Json, Settings, roots
from .errors import InvalidArgument, NotFound, SliceflightError, Unavailable
from .finder import Finder
from .label import LabelRegistry, only
from .progress import Report
from .query import Criteria, QuerySet


class ArtifactRegistry(Finder[Artifact]):
    """`ln.Artifact`: finding and registering artifacts; called with a URL, an artifact to be saved."""

    def get(
        self, uid: str | None = None, *, key: str | None = None, version: str | int | None = None, **conditions: Any
    ) -> Artifact:
        """The artifact with a uid (or the beginning of one), or the latest version with a key.

        # Raises
        `NotFound` (a `KeyError`) without one, `MultipleResults` when several meet other conditions.
        """
        if conditions or (uid is None) == (key is None):
            if uid is not None or (key is None and not conditions):
                raise InvalidArgument("expected a uid, or key=, or conditions")
            return self.filter(**conditions, **({"key": key} if key is not None else {})).one()
        source: Json = {"uid": uid} if key is None else {"key": key}
        source |= {} if version is None else {"version": str(version)}
        return self._described(source)

    def register(
        self, url: str, key: str | None = None, description: str | None = None, labels: Sequence[Any] | None = None
    ) -> Artifact:
        """Adds a URL to the registry; the server must allow it."""
        return self(url, key=key, description=description).register(labels=list(labels or []))

    def __call__(self, url: str | os.PathLike[str], key: str | None = None, description: str | None = None) -> Artifact:
        given = {"url": os.fspath(url), "key": key, "description": description}
        return Artifact(self._connection, {name: value for name, value in given.items() if value is not None})

    def _set(self) -> QuerySet[Artifact]:
        return QuerySet(self._connection, "artifact", lambda record: Artifact(self._connection, record), Criteria())

    def _described(self, source: Json) -> Artifact:
        try:
            summary = self._connection.action("describe", source)
        except (NotFound, InvalidArgument, Unavailable):
            raise
        except SliceflightError:  # registered, but not to be read: its record is still there
            if set(source) == {"key"}:
                return self.filter(key=source["key"]).one()
            if "version" in source:
                raise
            listed = [artifact for artifact in self._set() if artifact.uid.startswith(source["uid"])]
            found: Artifact = only(listed, f"artifact with {source}")
            return found
        if "artifact" not in summary:
            raise NotFound(f"no artifact has the key {source.get('key')!r}, but a collection: use Collection.get")
        return Artifact(self._connection, summary["artifact"], summary)

    def __repr__(self) -> str:
        return "<Artifact registry>"


class CollectionRegistry(Finder[Collection]):
    """`ln.Collection`: finding and making collections; called with artifacts, a collection to be saved."""

    def get(self, uid: str | None = None, *, key: str | None = None) -> Collection:
        """The collection with a uid or key.

        # Raises
        `NotFound` (a `KeyError`) without one.
        """
        if (uid is None) == (key is None):
            raise InvalidArgument("expected a uid, or key=")
        summary = self._connection.action("describe", {"collection": uid or key})
        members = [Artifact(self._connection, record) for record in summary["members"]]
        return Collection(self._connection, summary["collection"], summary, members)

    def __call__(
        self, artifacts: Sequence[Artifact] | Artifact, key: str, description: str | None = None
    ) -> Collection:
        members = [artifacts] if isinstance(artifacts, Artifact) else list(artifacts)
        record = {"key": key} | ({"description": description} if description else {})
        return Collection(self._connection, record, members=members)

    def _set(self) -> QuerySet[Collection]:
        return QuerySet(self._connection, "collection", lambda record: Collection(self._connection, record), Criteria())

    def __repr__(self) -> str:
        return "<Collection registry>"


class Session:
    """A server: `Artifact`, `Collection` and `ULabel` are its registries."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.Artifact = ArtifactRegistry(connection)
        self.Collection = CollectionRegistry(connection)
        self.ULabel = LabelRegistry(connection)

    def close(self) -> None:
        """Closes the connections."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sliceflight.Session {self.connection.settings.url}>"


def connect(
    url: str,
    *,
    token: str | None = None,
    tls_roots: bytes | str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    parallel: int = 4,
    progress: bool | Report | None = None,
    headers: Mapping[str, str] | None = None,
) -> Session:
    """The registries of the server at `url`, `grpc://HOST:PORT` or `grpc+tls://HOST:PORT`.

    `token` is sent as a bearer token. `tls_roots` are PEM certificates, or the path of a file with them.
    `timeout` is in seconds, for each call including all its rows. At most `parallel` parts of a large answer are
    read at the same time. `progress` is True for a bar, or a function that gets a `Progress`.

    Nothing is sent yet; the first question connects.

    >>> ln = connect("grpc://localhost:8815")
    >>> ln
    <sliceflight.Session grpc://localhost:8815>
    """
    settings = Settings(url, token, roots(tls_roots), timeout, max(1, parallel), progress, dict(headers or {}))
    return Session(Connection(settings))
