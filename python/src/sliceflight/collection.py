"""An ordered set of artifacts that opens as one: tables as one dataset, AnnData as one AnnData.

Sits where `artifact` sits, for several members.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from .artifact import Artifact, Engine, moment
from .connection import Connection, Json
from .parallel import together

if TYPE_CHECKING:
    from .opening import Opened

Join = Literal["inner", "outer"]


class Collection:
    """A collection that the registry knows."""

    def __init__(
        self, connection: Connection, record: Json, summary: Json | None = None, members: list[Artifact] | None = None
    ) -> None:
        self._connection, self._record, self._summary, self._members = connection, dict(record), summary, members

    @property
    def record(self) -> Json:
        """Everything the registry says."""
        return dict(self._record)

    @property
    def uid(self) -> str:
        """20 characters."""
        if "uid" not in self._record:
            raise ValueError(f"collection {self.key!r} is not registered yet: call save()")
        return str(self._record["uid"])

    @property
    def key(self) -> str:
        """The name under which people find it."""
        return str(self._record["key"])

    @property
    def description(self) -> str | None:
        """What people wrote about it."""
        return self._record.get("description")

    @property
    def created_at(self) -> datetime.datetime | None:
        """When it was made."""
        return moment(self._record.get("created_at"))

    @property
    def artifacts(self) -> list[Artifact]:
        """Its members, in order."""
        if self._members is None:
            records = self._connection.action("tree", self._source)["members"]
            self._members = [Artifact(self._connection, record.get("artifact", record)) for record in records]
        return list(self._members)

    @property
    def ordered_artifacts(self) -> list[Artifact]:
        """Its members, in order, as LaminDB calls them."""
        return self.artifacts

    @property
    def summary(self) -> Json:
        """What the server says about its contents."""
        if self._summary is None:
            self._summary = self._connection.action("describe", self._source)
        return self._summary

    def open(self, engine: Engine = "pyarrow", join: Join = "inner", **options: Any) -> Opened:
        """All members as one: a `Dataset` of tables, an `AnnDataAccessor` of AnnData.

        `join` says which variables and columns an AnnData has: those of all members, or of any.
        """
        from .opening import opened

        summary, source = self.summary, self._source
        if summary.get("kind") == "anndata" and join == "outer":
            summary, source = self._outer(), {**self._source, "join": "outer"}
        return opened(self._connection, source, summary, engine, self.key, options)

    def load(self, join: Join = "outer") -> Any:
        """All members in memory: `pandas.concat` of tables, `anndata.concat` of AnnData with their uids."""
        members = together(lambda artifact: artifact.load(), self.artifacts)
        if self.summary.get("kind") == "anndata":
            import anndata

            uids = [artifact.uid for artifact in self.artifacts]
            return anndata.concat(members, join=join, label="artifact_uid", keys=uids)
        import pandas

        return pandas.concat(members, join=join)

    def save(self) -> Self:
        """Creates the collection; the server must allow it."""
        if "uid" in self._record:
            return self
        body = {"key": self.key, "artifacts": [artifact.uid for artifact in self.artifacts]}
        body |= {"description": self.description} if self.description else {}
        self._record = self._connection.action("create_collection", body, repeat=False)
        return self

    def delete(self) -> None:
        """Removes the record, never the members; the server must allow it."""
        self._connection.action("remove", self._source, repeat=False)

    def describe(self) -> None:
        """Prints what it is."""
        print(
            "\n".join(
                [
                    f"Collection {self.key}",
                    f"    uid: {self.uid}",
                    *(f"    {artifact!r}" for artifact in self.artifacts),
                ]
            )
        )

    def _outer(self) -> Json:
        """The summary of the outer join, which the server gives for the inner one only."""
        asked = {**self._source, "join": "outer"}
        infos = together(lambda node: self._connection.info({**asked, "node": node}), ["obs", "var"])
        keys: dict[str, list[str]] = {"obs": infos[0].schema.names}
        for artifact in self.artifacts:
            for name in ("layers", "obsm"):
                for key in artifact.summary.get("attributes", {}).get(name, []):
                    keys.setdefault(name, [])
                    keys[name] += [key] if key not in keys[name] else []
        shape = [info.total_records for info in infos]
        return {**self.summary, "shape": shape, "attributes": keys, "join": "outer"}

    @property
    def _source(self) -> Json:
        return {"collection": self.uid}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collection) and self._record.get("uid") == other._record.get("uid")

    def __hash__(self) -> int:
        return hash(self._record.get("uid"))

    def __repr__(self) -> str:
        shown = {name: self._record[name] for name in ("uid", "key", "description") if self._record.get(name)}
        return f"Collection({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
