"""What is chosen of one axis: an index as users write it, and the selectors that go to the server.

An axis starts whole; each index narrows it. Positions that are known here (integers, slices, lists,
masks) compose here; names and conditions compose on the server. Sits between the accessors and the
request. Never reads data; what it must ask (names, lengths) it asks the `Axis` it was made for.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgument
from .expression import Column, Condition

Positions = range | NDArray[np.int64]
Json = dict[str, Any]


class Axis(Protocol):
    """What a selection must know about its axis."""

    @property
    def size(self) -> int:
        """Positions of the whole axis."""

    def count(self, selectors: list[Json]) -> int:
        """How many positions the server finds for selectors; fails as the server does."""

    def names(self, selectors: list[Json]) -> Any:
        """The names (a pandas Index) of what is selected."""

    def known_names(self) -> Any:
        """The names of the whole axis if they were read already, else None."""


class Selection:
    """A narrowed axis. Immutable; indexing gives another one."""

    def __init__(self, axis: Axis, steps: tuple[Positions | Json, ...] = ()) -> None:
        self._axis, self._steps = axis, steps
        self._size: int | None = None
        self._names: Any = None

    def __len__(self) -> int:
        if self._size is None:
            last = self._steps[-1] if self._steps else None
            if last is None:
                self._size = self._axis.size
            elif isinstance(last, dict):
                self._size = self._axis.count(self.selectors())
            else:
                self._size = len(last)
        return self._size

    @property
    def whole(self) -> bool:
        """Whether nothing was narrowed."""
        return not self._steps

    @property
    def positions(self) -> Positions | None:
        """Positions on the whole axis; None when only the server knows them."""
        if not self._steps:
            return range(self._axis.size)
        return None if any(isinstance(step, dict) for step in self._steps) else self._steps[0]  # type: ignore[return-value]

    def names(self) -> Any:
        """The names of what is selected, a pandas Index."""
        if self._names is None:
            positions = self.positions if self._axis.known_names() is not None else None
            if positions is not None:
                self._names = self._axis.known_names()[_array(positions)]
            else:
                self._names = self._axis.names(self.selectors())
        return self._names

    def selectors(self) -> list[Json]:
        """The selectors of the request, composed left to right; none for the whole axis."""
        found: list[Json] = []
        length: int | None = self._axis.size
        for step in self._steps:
            if isinstance(step, dict):
                found.append(step)
                length = None
            else:
                found.extend(encoded(step, length))
                length = len(step)
        return found

    def __getitem__(self, index: Any) -> Selection:
        """The part of this selection that `index` names, as AnnData reads an index of one axis.

        # Raises
        `KeyError` for a missing name, `IndexError` for a position or a mask that does not fit.
        """
        if isinstance(index, Column):
            raise TypeError(f"{index} is a column: compare it to get a condition")
        if isinstance(index, Condition):
            return self._then({"where": index.sql})
        if isinstance(index, str):
            return self._named([index])
        if isinstance(index, slice):
            return self._sliced(index)
        if isinstance(index, (int, np.integer)) and not isinstance(index, (bool, np.bool_)):
            return self._then(integers(np.array([index], dtype=np.int64), len(self)))
        return self._listed(index)

    def _sliced(self, index: slice) -> Selection:
        if index == slice(None):
            return self  # without asking how long it is
        start, stop = index.start, index.stop
        if isinstance(start, str):
            start = self._place(start)
        if isinstance(stop, str):
            stop = self._place(stop) + 1  # a slice of names has both ends
        return self._then(range(len(self))[slice(start, stop, index.step)])

    def _place(self, name: str) -> int:
        place = self.names().get_loc(name)
        if not isinstance(place, int):
            raise InvalidArgument(f"name {name!r} stands several times on the axis: a slice by it has no clear end")
        return place

    def _listed(self, index: Any) -> Selection:
        values = flat(index, len(self)) if _has_shape(index) else index
        if isinstance(values, Sequence) and values and all(isinstance(value, str) for value in values):
            return self._named(list(values))
        array = np.asarray(values)
        if array.ndim != 1:
            raise IndexError(f"expected an index of one dimension for an axis, found {array.ndim}")
        if array.size == 0 and array.dtype != np.bool_:
            return self._then(range(0))
        if array.dtype == np.bool_:
            return self._then(mask_positions(array, len(self)))
        if array.dtype.kind == "f" and np.all(array == np.floor(array)):
            array = array.astype(np.int64)
        if array.dtype.kind in "iu":
            return self._then(integers(array, len(self)))
        listed = array.tolist()
        if all(isinstance(value, (bool, np.bool_)) for value in listed):
            return self._then(mask_positions(np.array(listed, dtype=np.bool_), len(self)))
        if all(isinstance(value, str) for value in listed):
            return self._named(listed)
        raise IndexError(f"expected integers, a mask or names as index of an axis, found {array.dtype} {listed[:3]!r}")

    def _named(self, names: list[str]) -> Selection:
        if self._axis.known_names() is None:
            fresh = Selection(self._axis, (*self._steps, {"names": names}))
            len(fresh)  # asks the server, which knows a missing name
            return fresh
        positions = self.names().get_indexer(names)
        missing = [name for name, place in zip(names, positions.tolist(), strict=True) if place < 0]
        if missing:
            raise KeyError(f"names not found among {len(self)} on the axis: {', '.join(map(repr, missing[:10]))}")
        return self._then(positions.astype(np.int64))

    def _then(self, step: Positions | Json) -> Selection:
        last = self._steps[-1] if self._steps else None
        if isinstance(step, range) and step == range(len(self)):
            return self
        if isinstance(step, dict) or last is None or isinstance(last, dict):
            return Selection(self._axis, (*self._steps, step))
        return Selection(self._axis, (*self._steps[:-1], composed(last, step)))


def composed(outer: Positions, inner: Positions) -> Positions:
    """The positions `outer[inner]`."""
    if isinstance(inner, range) and isinstance(outer, range):
        places = [outer.start + outer.step * place for place in (inner.start, inner.start + inner.step)]
        step = places[1] - places[0]
        return range(places[0], places[0] + step * len(inner), step)
    found: NDArray[np.int64] = _array(outer)[_array(inner)]
    return found


def integers(values: NDArray[Any], length: int) -> NDArray[np.int64]:
    """Positions from `values`, negative ones from the end.

    # Raises
    `IndexError` naming the first that is outside of an axis of `length`.
    """
    wide = values.astype(np.int64)
    outside = (wide < -length) | (wide >= length)
    if outside.any():
        raise IndexError(f"index {wide[outside][0]} is out of bounds for an axis of length {length}")
    return np.where(wide < 0, wide + length, wide)


def mask_positions(mask: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
    """Positions where the mask is true.

    # Raises
    `IndexError` when the mask has another length than the axis.
    """
    if mask.shape != (length,):
        raise IndexError(f"a boolean index of length {mask.size} does not match an axis of length {length}")
    return np.flatnonzero(mask).astype(np.int64)


def encoded(positions: Positions, length: int | None) -> list[Json]:
    """Selectors for `positions` of an axis of `length` (None: unknown), whichever are shortest."""
    plain = positions if isinstance(positions, range) else progression(positions)
    if plain is not None:
        return [] if length is not None and plain == range(length) else [{"slice": _slice(plain)}]
    array = _array(positions)
    digits = int(np.sum(np.floor(np.log10(np.maximum(array, 1))).astype(np.int64) + 2))
    if length is not None and bool(np.all(np.diff(array) > 0)) and (length + 7) // 8 * 4 // 3 + 24 < digits:
        bits = np.zeros(length, dtype=np.bool_)
        bits[array] = True
        packed = base64.b64encode(np.packbits(bits, bitorder="little").tobytes()).decode()
        return [{"mask": {"bits": packed, "length": length}}]
    return [{"index": array.tolist()}]


def progression(positions: NDArray[np.int64]) -> range | None:
    """The positions as a range, when their steps are all the same and not zero."""
    if positions.size == 0:
        return range(0)
    first = int(positions[0])
    step = int(positions[1]) - first if positions.size > 1 else 1
    if step == 0 or (positions.size > 2 and not bool(np.all(np.diff(positions) == step))):
        return None
    return range(first, first + step * positions.size, step)


def flat(index: Any, length: int) -> Any:
    """The values of a pandas, scipy or NumPy index in one dimension, without its labels: positions count."""
    if hasattr(index, "toarray"):
        index = index.toarray()
    if hasattr(index, "to_numpy"):
        dtype = str(getattr(index, "dtype", ""))
        index = index.to_numpy(dtype=np.bool_, na_value=False) if dtype == "boolean" else index.to_numpy()
    index = np.asarray(index)
    return index.ravel() if index.shape in ((length, 1), (1, length)) else index


def _slice(positions: range) -> Json:
    if len(positions) == 0:
        return {"stop": 0}
    end = positions[-1] + (1 if positions.step > 0 else -1)
    found: Json = {"start": positions.start}
    if end >= 0:
        found["stop"] = end
    if positions.step != 1:
        found["step"] = positions.step
    return found


def _array(positions: Positions) -> NDArray[np.int64]:
    if isinstance(positions, range):
        return np.arange(positions.start, positions.stop, positions.step, dtype=np.int64)
    return positions


def _has_shape(index: Any) -> bool:
    return hasattr(index, "shape") or hasattr(index, "to_numpy") or hasattr(index, "toarray")
