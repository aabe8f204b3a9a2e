"""Groups and arrays of a plain HDF5 file or zarr store, as h5py and zarr show them.

    backed = artifact.open()
    backed.storage["group/dataset"][2:10, ::3]

Sits between `node.Tree` and the user. Groups are mappings, arrays are `LazyArray`s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from .array import LazyArray
from .connection import Connection, Json
from .element import element
from .errors import NotFound, Unimplemented
from .node import Tree
from .sparse import LazySparse
from .text_tree import Branch, draw

if TYPE_CHECKING:
    from .anndata_accessor import AnnDataAccessor

Member = Any  # Group, LazyArray or LazySparse


class Group(Mapping[str, Member]):
    """A group: names lead to groups and arrays, paths with slashes to what is deeper."""

    def __init__(
        self, tree: Tree, path: str = "", backend: str = "hdf5", file: str = "", attributes: Json | None = None
    ) -> None:
        self._tree, self._path, self._backend, self._file = tree, path, backend, file
        self._attributes = attributes

    @property
    def name(self) -> str:
        """The path of the group in its file."""
        return f"/{self._path}"

    @property
    def attrs(self) -> Json:
        """The attributes of the group."""
        if self._attributes is not None:
            return dict(self._attributes)
        return dict(self._tree.get(self._path).attributes)

    def __getitem__(self, name: str) -> Member:
        """The group or array at a path below this one, or from the root when it begins with a slash.

        # Raises
        `KeyError` when there is none, `Unimplemented` with the reason for what the server cannot read.
        """
        path = name.strip("/") if name.startswith("/") else "/".join(filter(None, [self._path, name.strip("/")]))
        if not path:
            return Group(self._tree, "", self._backend, self._file)
        if path not in self._tree:
            raise NotFound(f"no node '{path}'; '{self.name}' has {list(self)}")
        node = self._tree.get(path)
        if node.kind == "unreadable":
            raise Unimplemented(f"node '{path}' cannot be read: {node.attributes.get('reason')}")
        if node.kind in ("array", "scalar"):
            return LazyArray(self._tree, node, self._backend)
        if node.kind in ("csr", "csc"):
            return LazySparse(self._tree, node, self._backend)
        return Group(self._tree, path, self._backend, self._file)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree.children(self._path))

    def __len__(self) -> int:
        return len(self._tree.children(self._path))

    def __contains__(self, name: object) -> bool:
        path = "/".join(filter(None, [self._path, str(name).strip("/")]))
        return path in self._tree

    def read(self) -> Any:
        """Everything below in memory: data frames and columns as pandas, other groups as dicts."""
        return (
            element(self._tree, self._tree.get(self._path))
            if self._path
            else {name: _whole(self[name]) for name in self}
        )

    def view_tree(self) -> None:
        """Prints the groups and arrays below."""
        print(self.tree_text())

    def tree_text(self) -> str:
        """The groups and arrays below, as `view_tree` prints them."""
        return "\n".join([self._title(), *draw(self._branches(self._path))])

    def _branches(self, path: str) -> list[Branch]:
        found = []
        for name in self._tree.children(path):
            below = f"{path}/{name}" if path else name
            node = self._tree.get(below)
            shape = f" {node.shape} {node.dtype_name}" if node.kind in ("array", "scalar") else ""
            mark = "" if node.kind in ("array", "scalar", "unreadable") else "/"
            found.append(Branch(f"{name}{mark}{shape}", self._branches(below) if mark else []))
        return found

    def _title(self) -> str:
        return self.name if self._path else self._file or "/"

    def __repr__(self) -> str:
        if self._backend == "zarr":
            return f"<Group {self._path or self._file}>"
        if not self._path:
            return f'<HDF5 file "{self._file}" (mode r)>'
        return f'<HDF5 group "{self.name}" ({len(self)} members)>'


@dataclass
class BackedAccessor(Mapping[str, Member]):
    """An opened HDF5 file or zarr store: `storage` is its root, the connection leads to the server."""

    connection: Connection
    storage: Any
    views: dict[str, Json]

    def __getitem__(self, name: str) -> Member:
        return self.storage[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.storage)

    def __len__(self) -> int:
        return len(self.storage)

    @property
    def tables(self) -> dict[str, AnnDataAccessor]:
        """AnnData objects below the root by name: modalities of MuData, tables of SpatialData."""
        from .anndata_accessor import AnnDataAccessor
        from .anndata_store import Store

        tree, backend = self.storage._tree, self.storage._backend
        found = {}
        for path, summary in self.views.items():
            name = path.rpartition("/")[2]
            found[name] = AnnDataAccessor(Store(tree, summary, f"{path}/", backend), f"{self.storage._file}/{path}")
        return found

    def view_tree(self) -> None:
        """Prints all groups and arrays."""
        self.storage.view_tree()

    def close(self) -> None:
        """Nothing stays open; for code that closes accessors."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"BackedAccessor(connection={self.connection!r}, storage={self.storage!r})"


def _whole(member: Member) -> Any:
    return member.read() if isinstance(member, Group) else member.to_memory()
