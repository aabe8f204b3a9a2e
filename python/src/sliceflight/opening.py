"""Which accessor an artifact or a collection gets, by what the server says it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from .connection import Connection, Json
from .errors import InvalidArgument, Unimplemented
from .table import Dataset

if TYPE_CHECKING:
    import polars

    from .anndata_accessor import AnnDataAccessor
    from .group import BackedAccessor

    Opened: TypeAlias = "AnnDataAccessor | BackedAccessor | Dataset | polars.LazyFrame"

BACKENDS = {"zarr": "zarr"}


def opened(connection: Connection, source: Json, summary: Json, engine: str, name: str, options: Json) -> Opened:
    """The accessor for a described artifact or collection.

    # Raises
    `InvalidArgument` for options or an engine that do not go with what it is.
    """
    kind = summary.get("kind")
    if engine not in ("pyarrow", "polars"):
        raise InvalidArgument(f"expected engine 'pyarrow' or 'polars', found {engine!r}")
    if kind == "table":
        return table(connection, source, summary, engine, options)
    if options or engine == "polars":
        given = ", ".join([*options, *(["engine"] if engine == "polars" else [])])
        raise InvalidArgument(f"'{name}' is {kind}, not a table: {given} does not apply")
    if kind == "anndata" and summary.get("view") != "mudata":
        return anndata(connection, source, summary, name)
    if kind in ("anndata", "hdf5", "zarr"):  # of MuData the modalities are each an AnnData
        return hierarchy(connection, source, summary, name)
    raise Unimplemented(f"'{name}' is of kind {kind!r}, which this client does not open")


def loaded(accessor: Any) -> Any:
    """What an accessor leads to, in memory."""
    if hasattr(accessor, "to_memory"):
        return accessor.to_memory()
    if isinstance(accessor, Dataset):
        return accessor.to_table().to_pandas()
    if hasattr(accessor, "collect"):
        return accessor.collect()
    return accessor.storage.read()


def table(connection: Connection, source: Json, summary: Json, engine: str, options: Json) -> Any:
    """A table, for pyarrow or polars."""
    unknown = set(options) - {"partitioning"}
    if unknown:
        raise InvalidArgument(f"unknown option {', '.join(sorted(unknown))}; known is partitioning")
    files = [record["url"] for record in summary.get("members", [summary.get("artifact", {})]) if "url" in record]
    dataset = Dataset(connection, source, {name: value for name, value in options.items() if value}, files)
    return dataset.lazy() if engine == "polars" else dataset


def anndata(connection: Connection, source: Json, summary: Json, name: str) -> AnnDataAccessor:
    """An AnnData at the root."""
    from .anndata_accessor import AnnDataAccessor
    from .anndata_store import Store
    from .node import Tree

    return AnnDataAccessor(Store(Tree(connection, source), summary, "", backend(summary)), name)


def hierarchy(connection: Connection, source: Json, summary: Json, name: str) -> BackedAccessor:
    """Groups and arrays."""
    from .group import BackedAccessor, Group
    from .node import Tree

    root = Group(Tree(connection, source), "", backend(summary), name, summary.get("root_attributes") or {})
    return BackedAccessor(connection, root, summary.get("views") or {})


def backend(summary: Json) -> str:
    """`hdf5` or `zarr`."""
    return BACKENDS.get((summary.get("artifact") or {}).get("kind", ""), "hdf5")
