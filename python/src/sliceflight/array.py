"""A dense array that is read when it is indexed: `array[10:20, [3, 1], ...]` as NumPy indexes.

What can be chosen axis by axis is chosen on the server; the rest of NumPy's rules (lists on several
axes, integers beside lists) is applied to what came. Sits between `node`, `selection` and `convert`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import convert
from .connection import Json
from .element import element
from .node import Node, Tree, numpy_name
from .selection import Positions, encoded, integers, mask_positions

POINTWISE_ELEMENTS = 1 << 26


class LazyArray:
    """An array in an HDF5 file or a zarr store; indexing reads the part and gives NumPy."""

    def __init__(self, tree: Tree, node: Node, backend: str = "hdf5") -> None:
        self._tree, self._node, self.backend = tree, node, backend
        self._dtype: np.dtype[Any] | None = None

    @property
    def name(self) -> str:
        """The path of the array in its file."""
        return f"/{self._node.path}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return self._node.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of a stored chunk; None when the array is stored in one piece."""
        return self._node.chunks

    @property
    def attrs(self) -> Json:
        """The attributes of the array."""
        return dict(self._node.attributes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of an element as reading gives it; object for texts."""
        if self._dtype is None:
            self._dtype = numpy_name(self._node.dtype_name)
        if self._dtype is None:
            schema = self._tree.connection.info(self._tree.request(self._node.path)).schema
            self._dtype = convert.numpy_dtype(schema.field(len(schema) - 1).type)
        return self._dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all elements in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self[...])

    def __getitem__(self, index: Any) -> Any:
        """The part that `index` names, as `numpy.ndarray` would give it.

        # Raises
        `IndexError` for what is outside of the array, `KeyError` for a missing field.
        """
        if isinstance(index, str):
            return self[...][index]
        if not self.shape:
            value = self._read([])
            return value if index == () else np.array(value, dtype=self.dtype)[index]
        plan = Plan(index, self.shape)
        return plan.finish(self._read(plan.selectors()))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def to_memory(self) -> Any:
        """The whole array."""
        return self[...]

    def _read(self, axes: list[list[Json]]) -> Any:
        return element(self._tree, self._node, {"axes": axes} if any(axes) else None)

    def __repr__(self) -> str:
        if self.backend == "zarr":
            return f"<Array {self._node.path} shape={self.shape} dtype={self.dtype}>"
        return f'<HDF5 dataset "{self._node.name}": shape {self.shape}, type "{_written(self.dtype)}">'


class Plan:
    """A NumPy index in two steps: what of each axis is fetched, and what is done with it here.

    # Raises
    `IndexError` for an index that does not fit `shape`.
    """

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self._fetched: list[Positions] = []
        self._local: list[Any] = []
        self._shape = shape
        for part in expanded(index, shape):
            self._add(part)
        self._simplify()

    def selectors(self) -> list[list[Json]]:
        """The selectors of each axis, none for a whole one."""
        pairs = zip(self._fetched, self._shape, strict=True)
        return [encoded(positions, length) for positions, length in pairs]

    def finish(self, box: NDArray[Any]) -> Any:
        """The answer from what was fetched."""
        trivial = all(isinstance(part, slice) or part is Ellipsis for part in self._local)
        return box if trivial else box[tuple(self._local)]

    def _add(self, part: Any) -> None:
        if part is None or part is Ellipsis:
            self._local.append(part)
            return
        length = self._shape[len(self._fetched)]
        if isinstance(part, slice):
            self._fetched.append(range(length)[part])
            self._local.append(slice(None))
        elif isinstance(part, (int, np.integer)):
            place = int(integers(np.array([part]), length)[0])
            self._fetched.append(range(place, place + 1))
            self._local.append(0)
        else:
            self._fetched.append(integers(part, length))
            self._local.append(part)

    def _simplify(self) -> None:
        """Fetches each position once where NumPy pairs lists, else in the order of the one list."""
        axes = [place for place, part in enumerate(self._local) if part is not None and part is not Ellipsis]
        lists = [axis for axis, place in enumerate(axes) if isinstance(self._local[place], np.ndarray)]
        whole = any(isinstance(part, int) for part in self._local)
        for axis in lists:
            positions = np.asarray(self._fetched[axis])
            if len(lists) == 1 and positions.ndim == 1:
                self._local[axes[axis]] = np.arange(positions.size) if whole else slice(None)
                continue
            once, places = np.unique(positions, return_inverse=True)
            self._fetched[axis], self._local[axes[axis]] = once, places.reshape(positions.shape)
        fetched = math.prod(len(positions) for positions in self._fetched)
        if len(lists) > 1 and fetched > POINTWISE_ELEMENTS:
            raise ValueError(
                f"lists on several axes meet in {fetched} elements, at most {POINTWISE_ELEMENTS} are read at once"
            )


def expanded(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """One part for each axis (and None for new ones): slices, integers and arrays of integers."""
    parts = filled([array_part(part) for part in (index if isinstance(index, tuple) else (index,))], len(shape))
    found: list[Any] = []
    axis = 0
    for part in parts:
        if is_mask(part):
            expected = shape[axis : axis + part.ndim]
            if part.ndim == 1:
                found.append(mask_positions(part, expected[0]))
            elif part.shape != expected:
                raise IndexError(f"a boolean index of shape {part.shape} does not match the axes of shape {expected}")
            else:
                found.extend(part.nonzero())
        else:
            found.append(part)
        axis += consumed(part)
    return found


def filled(parts: list[Any], dimensions: int) -> list[Any]:
    """`parts` with the ellipsis, or the axes that are not named, as whole slices."""
    places = [place for place, part in enumerate(parts) if part is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    named = sum(consumed(part) for part in parts)
    if named > dimensions:
        raise IndexError(f"too many indices: the array has {dimensions} axes, {named} were indexed")
    place = places[0] if places else len(parts)
    whole: list[Any] = [slice(None)] * (dimensions - named)
    # For NumPy an ellipsis of no axis still stands between the lists beside it.
    return [*parts[:place], *(whole or parts[place : place + 1]), *parts[place + 1 :]]


def consumed(part: Any) -> int:
    """How many axes a part of an index is for."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if is_mask(part) else 1


def is_mask(part: Any) -> bool:
    """Whether a part of an index is a boolean array."""
    return isinstance(part, np.ndarray) and part.dtype == np.bool_


def array_part(part: Any) -> Any:
    """A part of an index, lists as arrays of integers or booleans."""
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    if isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)):
        return part
    found = np.asarray(part)
    if found.size == 0 and found.dtype != np.bool_:
        return found.astype(np.int64)
    if found.ndim == 0 and found.dtype.kind in "iu":
        return found.item()
    if found.ndim == 0 or found.dtype.kind not in "biu":
        raise IndexError(f"expected integers, slices, lists, masks or ..., found {part!r}")
    return found


def _written(dtype: np.dtype[Any]) -> str:
    return f"{dtype.str}" if dtype.names is None else str(dtype)
