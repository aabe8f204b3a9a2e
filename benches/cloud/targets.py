"""The targets of the project, as ratios between medians of one run or as bounds.

Each row names who is compared with whom; `report` says which are met.
"""

from dataclasses import dataclass

#: The group of the client that is the floor of all others.
BARE = "bare client"


@dataclass(frozen=True)
class Ratio:
    """`ours` is to be at least `factor` times as fast as the best of `group`."""

    task: str
    dataset: str
    ours: str
    group: str
    factor: float

    def judged(self, results):
        """The two medians in seconds, and the ratio; None where one was not measured."""
        mine = results.median("wall", tool=f"sliceflight {self.ours}", task=self.task, dataset=self.dataset)
        theirs = results.best(self.group, self.task, self.dataset)
        return mine, theirs, theirs / mine if mine and theirs else None


@dataclass(frozen=True)
class Bound:
    """A field of ours is to be at most `most`."""

    task: str
    dataset: str
    ours: str
    field: str
    most: float

    def judged(self, results):
        """The median, or None."""
        return results.median(self.field, tool=f"sliceflight {self.ours}", task=self.task, dataset=self.dataset)


RATIOS = (
    Ratio("T1", "gzip", "cold", "h5py best", 3),
    Ratio("T2", "gzip", "cold", "h5py best", 7),
    Ratio("T2", "gzip", "cold", "LaminDB", 15),
    Ratio("T3", "gzip", "warm", "h5py best", 5),
    Ratio("T3", "gzip", "warm", BARE, 1),
    Ratio("T4", "gzip", "warm", "h5py best", 15),
    Ratio("T5", "gzip", "cold", "h5py best", 9),
    Ratio("T5", "gzip", "indexed", "h5py best", 100),
    Ratio("T6", "gzip", "cold", "h5py best", 6),
    Ratio("T9", "grid", "cold", "h5py best", 6),
    *(
        Ratio(task, dataset, "cold", "zarr-python + obstore", 3)
        for dataset in ("zarr2", "zarr3")
        for task in ("T2", "T3", "T4", "T5", "T6")
    ),
    Ratio("T7", "table", "cold", "polars", 1),
    Ratio("T8", "table", "cold", "polars", 1),
)
#: Bytes of the chunks of X, values and indices, that hold the rows of T2. Columns of the filter, row pointers and the
#: tables that say where chunks lie are not among them.
T2_CHUNKS = 145_833_969
BOUNDS = (
    Bound("T1", "gzip", "cold", "bytes", 2e6),
    Bound("T2", "gzip", "warm", "bytes", T2_CHUNKS),
    Bound("T2", "gzip", "cold", "bytes", T2_CHUNKS),
    Bound("T1", "gzip", "warm", "wall", 0.010),
)
