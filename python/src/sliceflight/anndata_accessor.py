"""An AnnData that stays where it is: indexing narrows it, an element is read when it is used.

Behaves like LaminDB's `AnnDataAccessor`, printed forms included, and is right where that one is not: a
single position or name, lists on both axes of a dense array, negative steps, nullable columns of a
subset. Sits above `selection` (what is chosen) and `anndata_store` (reading it).

    adata = artifact.open()
    subset = adata[adata.obs.cell_type == "Dendritic cells", ["CD3D", "LYZ"]]
    subset.X; subset.to_memory()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from . import expression
from .anndata_store import Store
from .parallel import together
from .selection import Selection
from .sparse import pair

if TYPE_CHECKING:
    import anndata
    import pandas

MAPPINGS = {"layers": ("obs", "var"), "obsm": ("obs",), "varm": ("var",), "obsp": ("obs",), "varp": ("var",)}


class AnnDataView:
    """What `AnnDataAccessor` and its subsets have in common."""

    def __init__(self, store: Store, obs: Selection, var: Selection) -> None:
        self._store, self._obs, self._var = store, obs, var
        self._cache: dict[str, Any] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of observations and variables."""
        return len(self._obs), len(self._var)

    @property
    def n_obs(self) -> int:
        """Number of observations."""
        return len(self._obs)

    @property
    def n_vars(self) -> int:
        """Number of variables."""
        return len(self._var)

    def __len__(self) -> int:
        return self.n_obs

    @property
    def obs(self) -> pandas.DataFrame:
        """Annotations of the observations, read once."""
        return self._cached("obs", lambda: self._frame("obs", self._obs))

    @property
    def var(self) -> pandas.DataFrame:
        """Annotations of the variables, read once."""
        return self._cached("var", lambda: self._frame("var", self._var))

    @property
    def obs_names(self) -> pandas.Index:
        """Names of the observations."""
        return self._cache["obs"].index if "obs" in self._cache else self._obs.names()

    @property
    def var_names(self) -> pandas.Index:
        """Names of the variables."""
        return self._cache["var"].index if "var" in self._cache else self._var.names()

    @property
    def X(self) -> Any:
        """The matrix: lazy for the whole data set, in memory for a subset."""
        if self._store.stored is None:
            return None
        return self._cached("X", lambda: self._element("X", ("obs", "var")))

    @property
    def layers(self) -> Elements:
        """Matrices of the shape of X by name."""
        return Elements(self, "layers")

    @property
    def obsm(self) -> Elements:
        """Arrays and data frames with a row for each observation, by name."""
        return Elements(self, "obsm")

    @property
    def varm(self) -> Elements:
        """Arrays and data frames with a row for each variable, by name."""
        return Elements(self, "varm")

    @property
    def obsp(self) -> Elements:
        """Square matrices over the observations, by name."""
        return Elements(self, "obsp")

    @property
    def varp(self) -> Elements:
        """Square matrices over the variables, by name."""
        return Elements(self, "varp")

    @property
    def uns(self) -> dict[str, Any]:
        """Unstructured annotations, read once; never narrowed."""
        found: dict[str, Any] = self._cached("uns", self._store.uns)
        return found

    @property
    def raw(self) -> AnnDataRawAccessor | None:
        """X and var as they were before filtering genes, with this view's observations; None without."""
        return AnnDataRawAccessor(self._store, self._obs) if "raw" in self._store.keys else None

    def col(self, name: str) -> expression.Column:
        """The column `name` of obs (or of var, as second index) for a condition that the server evaluates."""
        return expression.col(name)

    def __getitem__(self, index: Any) -> AnnDataAccessorSubset:
        """The observations and variables that `index` names; nothing is read but names, where needed.

        # Raises
        `KeyError` for a missing name, `IndexError` for a position outside.
        """
        obs, var = pair(index)
        return AnnDataAccessorSubset(self._store, self._obs[obs], self._var[var])

    def to_dict(self) -> dict[str, Any]:
        """Every element in memory: the arguments of `anndata.AnnData`."""
        paths = (
            ["obs", "var"]
            + (["uns"] if "uns" in self._store.keys else [])
            + (["X"] if self._store.stored is not None else [])
        )
        paths += [f"{name}/{key}" for name in MAPPINGS for key in self._store.keys.get(name, [])]
        raw = self.raw
        values = dict(zip(paths, together(self._in_memory, paths), strict=True))
        found: dict[str, Any] = {name: values[name] for name in ("X", "obs", "var", "uns") if name in values}
        for name in MAPPINGS:
            keys = self._store.keys.get(name, [])
            found |= {name: {key: values[f"{name}/{key}"] for key in keys}} if keys else {}
        return found | ({"raw": raw.to_dict()} if raw is not None else {})

    def to_memory(self) -> anndata.AnnData:
        """An `anndata.AnnData` of what is selected."""
        import anndata

        return anndata.AnnData(**self.to_dict())

    def close(self) -> None:
        """Nothing stays open; for code that closes accessors."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _in_memory(self, path: str) -> Any:
        if path in ("obs", "var", "uns"):
            return getattr(self, path)
        if path in self._cache and self._subset:
            return self._cache[path]
        return self._value(path, MAPPINGS.get(path.split("/")[0], ("obs", "var")))

    @property
    def _subset(self) -> bool:
        return False

    def _element(self, path: str, axes: tuple[str, ...]) -> Any:
        return self._value(path, axes) if self._subset else self._store.lazy(path)

    def _value(self, path: str, axes: tuple[str, ...]) -> Any:
        obs, var = (axis if name in axes else None for name, axis in (("obs", self._obs), ("var", self._var)))
        return self._store.value(path, obs, var)

    def _frame(self, name: str, selection: Selection) -> Any:
        """Rows of obs or var, from the whole frame where that was read already."""
        whole, positions = self._store.frames.get(name), selection.positions
        if whole is not None and positions is not None:
            return whole.iloc[np.asarray(positions)]
        found = self._store.frame(name, {name: selection.selectors()})
        if selection.whole:
            self._store.frames[name] = found
            self._store.axes[name].learn(found.index)
        return found

    def _cached(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    def _lines(self, indent: str) -> str:
        keys = {name: keys for name, keys in sorted(self._store.keys.items()) if keys and name != "X"}
        return "".join(f"\n{indent}{name}: {names}" for name, names in keys.items())


class AnnDataAccessor(AnnDataView):
    """A whole AnnData in storage."""

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store, Selection(store.axes["obs"]), Selection(store.axes["var"]))
        self._name = name

    def __repr__(self) -> str:
        title = f"AnnDataAccessor object with n_obs × n_vars = {self.n_obs} × {self.n_vars}"
        return f"{title}\n  constructed for the AnnData object {self._name}{self._lines('    ')}"


class AnnDataAccessorSubset(AnnDataView):
    """Some observations and variables of an AnnData; elements are in memory when they are used."""

    @property
    def _subset(self) -> bool:
        return True

    def __repr__(self) -> str:
        title = f"AnnDataAccessorSubset object with n_obs × n_vars = {self.n_obs} × {self.n_vars}"
        return title + self._lines("  ")


class Elements(Mapping[str, Any]):
    """The elements of one attribute by name: `adata.obsm["X_pca"]`."""

    def __init__(self, view: AnnDataView, name: str) -> None:
        self._view, self._name = view, name
        self._keys = list(view._store.keys.get(name, []))

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(f"{self._name} has no {key!r}, only {self._keys}")
        return self._view._element(f"{self._name}/{key}", MAPPINGS[self._name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def keys(self) -> list[str]:  # type: ignore[override]
        """The names, a list as LaminDB gives it."""
        return list(self._keys)

    def __repr__(self) -> str:
        return f"Accessor for the AnnData attribute {self._name}\n  with keys: {self._keys}"


class AnnDataRawAccessor:
    """`raw` of an AnnData: all its variables, and the observations of the view it comes from."""

    def __init__(self, store: Store, obs: Selection) -> None:
        self._store, self._obs = store, obs
        self._var: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of observations and of raw's variables."""
        return len(self._obs), self._store.node("raw/X").shape[1]

    @property
    def X(self) -> Any:
        """The matrix: lazy for all observations, in memory for a subset."""
        return self._store.lazy("raw/X") if self._obs.whole else self._store.value("raw/X", self._obs, None)

    @property
    def var(self) -> pandas.DataFrame:
        """Annotations of raw's variables, read once."""
        if self._var is None:
            self._var = self._store.frame("raw/var", {})
        return self._var

    @property
    def var_names(self) -> pandas.Index:
        """Names of raw's variables."""
        return self.var.index

    @property
    def varm(self) -> dict[str, Any]:
        """Arrays with a row for each of raw's variables, by name."""
        path = self._store.prefix + "raw/varm"
        names = self._store.tree.children(path) if path in self._store.tree else []
        return {name: self._store.value(f"raw/varm/{name}", None, None) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Every element in memory."""
        found = {"X": self._store.value("raw/X", self._obs, None), "var": self.var}
        return found | ({"varm": varm} if (varm := self.varm) else {})

    def __repr__(self) -> str:
        rows, columns = self.shape
        path = self._store.prefix + "raw/"
        lines = {name: self._store.tree.children(path + name) for name in ("var", "varm")}
        shown = "".join(f"\n  {name}: {keys}" for name, keys in lines.items() if keys)
        return f"AnnDataRawAccessor object with n_obs × n_vars = {rows} × {columns}{shown}"
