"""A sparse matrix that is read when it is indexed, into scipy's matrix of the same major order.

Two lists choose rows and columns, as AnnData's do, not single elements. Sits between `node`,
`selection` and `convert`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .connection import Json
from .element import element
from .node import Node, Tree, numpy_name
from .selection import Selection


class LazySparse:
    """A CSR or CSC matrix in an HDF5 file or a zarr store."""

    def __init__(self, tree: Tree, node: Node, backend: str = "hdf5") -> None:
        self._tree, self._node, self.backend = tree, node, backend

    @property
    def format(self) -> str:
        """`csr` or `csc`, as stored."""
        return self._node.kind

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self._node.shape
        return rows, columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a value."""
        return numpy_name(self._node.dtype_name) or np.dtype(object)

    @property
    def attrs(self) -> Json:
        """The attributes of the matrix."""
        return dict(self._node.attributes)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """A scipy matrix of the rows and columns that `index` names.

        # Raises
        `IndexError` for a position outside of the matrix.
        """
        parts = pair(index)
        axes = [Selection(Positional(size))[part].selectors() for size, part in zip(self.shape, parts, strict=True)]
        return element(self._tree, self._node, {"axes": axes} if any(axes) else None)

    def to_memory(self) -> Any:
        """The whole matrix."""
        return element(self._tree, self._node)

    def __repr__(self) -> str:
        name = {"csr": "CSRDataset", "csc": "CSCDataset"}[self.format]
        return f"{name}: backend {self.backend}, shape {self.shape}, data_dtype {self.dtype}"


class Positional:
    """An axis without names."""

    def __init__(self, size: int) -> None:
        self.size = size

    def count(self, selectors: list[Json]) -> int:
        """Never asked: an axis without names has positions only."""
        raise IndexError("this axis has no names and no columns")

    def names(self, selectors: list[Json]) -> Any:
        """As `count`."""
        raise IndexError("this axis has no names and no columns")

    def known_names(self) -> Any:
        """None."""
        return None


def pair(index: Any) -> tuple[Any, Any]:
    """The index of the first and of the second axis.

    # Raises
    `IndexError` for more than two, or two ellipses.
    """
    if not isinstance(index, tuple):
        return (slice(None) if index is Ellipsis else index), slice(None)
    if sum(part is Ellipsis for part in index) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    parts = list(index)
    if len(parts) > 2 and any(part is Ellipsis for part in parts):
        parts = [part for part in parts if part is not Ellipsis]
    if len(parts) > 2:
        raise IndexError(f"received a length {len(parts)} index for two axes")
    parts = [slice(None) if part is Ellipsis else part for part in parts] + [slice(None)] * (2 - len(parts))
    return parts[0], parts[1]
