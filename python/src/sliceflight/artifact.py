"""One artifact: its record, where it is, and how it is opened, loaded, labelled.

Sits between the registry (`records`) and the accessors, which are imported when something is opened,
so that tables need pyarrow only.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from .connection import Connection, Json
from .errors import SliceflightError, Unimplemented
from .label import Labels, names_of
from .path import ArtifactPath

if TYPE_CHECKING:
    from .opening import Opened

Engine = Literal["pyarrow", "polars"]


class Artifact:
    """A file, a folder of shards or a zarr store that the registry knows."""

    def __init__(self, connection: Connection, record: Json, summary: Json | None = None) -> None:
        self._connection, self._record, self._summary = connection, dict(record), summary

    @property
    def record(self) -> Json:
        """Everything the registry says."""
        return dict(self._record)

    @property
    def uid(self) -> str:
        """20 characters: 16 of the artifact, 4 of the version."""
        return str(self._field("uid"))

    @property
    def key(self) -> str | None:
        """The name under which people find it."""
        return self._record.get("key")

    @property
    def version(self) -> int | str | None:
        """The number or tag of the version."""
        return self._record.get("version")

    @property
    def is_latest(self) -> bool:
        """Whether no newer version has its key."""
        return bool(self._record.get("is_latest", True))

    @property
    def suffix(self) -> str:
        """The suffix with its dot; empty for folders."""
        return self._record.get("suffix") or ""

    @property
    def kind(self) -> str | None:
        """What it is read as."""
        return self._record.get("kind")

    @property
    def url(self) -> str:
        """Where it is stored."""
        return str(self._record["url"])

    @property
    def size(self) -> int | None:
        """Bytes."""
        return self._record.get("size")

    @property
    def n_files(self) -> int | None:
        """Files of a folder or store; None for a single file."""
        return self._record.get("n_files")

    @property
    def n_observations(self) -> int | None:
        """Observations or rows, where that is known."""
        return self._record.get("n_observations")

    @property
    def etag(self) -> str | None:
        """The version of the stored object."""
        return self._record.get("etag")

    @property
    def description(self) -> str | None:
        """What people wrote about it."""
        return self._record.get("description")

    @property
    def created_at(self) -> datetime.datetime | None:
        """When it was registered."""
        return moment(self._record.get("created_at"))

    @property
    def labels(self) -> list[str]:
        """Names of its labels."""
        return names_of(self._record.get("labels"))

    @property
    def ulabels(self) -> Labels:
        """Its labels, as LaminDB writes it: `artifact.ulabels.all()`, `artifact.ulabels.add("checked")`."""
        return Labels(self.labels, self.label, self.unlabel)

    @property
    def path(self) -> ArtifactPath:
        """Where it is stored; prints its files with `view_tree()`."""
        return ArtifactPath(self._connection, self._source if "uid" in self._record else {"url": self.url}, self.url)

    @property
    def summary(self) -> Json:
        """What the server says about its contents: kind, shape, columns or nodes."""
        if self._summary is None:
            self._summary = self._connection.action("describe", self._source)
        return self._summary

    def open(self, mode: str = "r", engine: Engine = "pyarrow", **options: Any) -> Opened:
        """An accessor that reads what is asked of it.

        AnnData gives an `AnnDataAccessor`, other HDF5 and zarr a `BackedAccessor`, tables a `Dataset`, or
        a polars LazyFrame with `engine="polars"`. `options` are `partitioning="hive"` for tables.
        """
        from .opening import opened

        if mode != "r":
            raise Unimplemented(f"artifacts are opened for reading (mode 'r'), not with mode '{mode}'")
        return opened(self._connection, self._source, self.summary, engine, self.path.name, options)

    def load(self, **options: Any) -> Any:
        """All of it in memory: an AnnData, or a pandas DataFrame of a table."""
        from .opening import loaded

        return loaded(self.open(**options))

    def describe(self) -> None:
        """Prints what it is."""
        print(self.description_text())

    def description_text(self) -> str:
        """What `describe` prints."""
        lines = [f"Artifact {self.key or self.uid}"]
        fields = ("uid", "version", "kind", "size", "n_files", "n_observations", "url", "description", "created_at")
        lines += [f"    {name}: {self._record[name]}" for name in fields if self._record.get(name) is not None]
        lines += [f"    labels: {', '.join(self.labels)}"] if self.labels else []
        try:
            lines.append("  " + repr(self.open()).replace("\n", "\n  "))
        except (SliceflightError, ImportError) as error:
            lines.append(f"    cannot be opened: {error}")
        return "\n".join(lines)

    def register(self, key: str | None = None, description: str | None = None, labels: list[str] | None = None) -> Self:
        """Adds this URL to the registry, or its new version when the object changed; the server must allow it."""
        body: Json = {"url": self.url, "key": key or self.key, "description": description or self.description}
        names = names_of(labels) or self.labels
        body |= {"labels": names} if names else {}
        record = self._connection.action("register", {n: v for n, v in body.items() if v is not None}, repeat=False)
        self._record, self._summary = record, None
        return self

    def save(self) -> Self:
        """`register()`, as LaminDB calls it; does nothing for an artifact that is registered."""
        return self if "uid" in self._record else self.register()

    def label(self, *labels: Any) -> Self:
        """Attaches labels by name; the server must allow it."""
        body = {"uid": self.uid, "labels": names_of(list(labels))}
        self._record = self._connection.action("label", body, repeat=False)
        return self

    def unlabel(self, *labels: Any) -> Self:
        """Takes labels off by name; the server must allow it."""
        body = {"uid": self.uid, "labels": names_of(list(labels))}
        self._record = self._connection.action("unlabel", body, repeat=False)
        return self

    def build_index(self, node: str = "X", wait: bool = True) -> Json:
        """Builds the column index of a sparse matrix, so that a few genes of all cells are read at once.

        Gives its state: "ready", or "building" with its progress from 0 to 1 when it is not waited for. The
        server must keep column indexes and allow it.
        """
        body = self._source | {"node": node, "wait": wait}
        return dict(self._connection.action("build_index", body, repeat=False))

    def delete(self, permanent: bool = False) -> None:
        """Moves the record to the trash, or removes it; never the data. The server must allow it."""
        self._connection.action("remove" if permanent else "trash", self._source, repeat=False)

    def restore(self) -> Self:
        """Takes the record out of the trash; the server must allow it."""
        self._connection.action("restore", self._source, repeat=False)
        return self

    @property
    def _source(self) -> Json:
        return {"uid": self.uid}  # all characters: this version, whatever its key means later

    def _field(self, name: str) -> Any:
        if name not in self._record:
            raise ValueError(f"{self.url} is not registered yet: call save()")
        return self._record[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artifact) and self._record.get("uid") == other._record.get("uid")

    def __hash__(self) -> int:
        return hash(self._record.get("uid"))

    def __repr__(self) -> str:
        shown = {
            name: self._record[name]
            for name in ("uid", "key", "suffix", "size", "n_observations", "version")
            if self._record.get(name) not in (None, "")
        }
        return f"Artifact({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def moment(text: str | None) -> datetime.datetime | None:
    """A time as the registry writes it."""
    return None if text is None else datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
