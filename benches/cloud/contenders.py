"""Who takes part: each tool with its settings, and the tasks and data sets that it is asked for.

A contender of sliceflight has a `state`: `cold` is a new server that has never seen the object, `warm` a new server
whose registry has kept the indexes, `hot` a server that has answered the same request twice before, `indexed` a hot one
that has built a column index of X.
"""

from dataclasses import dataclass, field

from tasks import CELLS, TASKS

HDF5_CELLS = ("gzip", "none", "lzf")
ZARR = ("zarr2", "zarr3")


@dataclass(frozen=True)
class Contender:
    """A tool, its label in tables, and what it is asked for. `group` are contenders of which the best one counts."""

    label: str
    adapter: str
    group: str
    datasets: tuple
    tasks: tuple
    options: dict = field(default_factory=dict)
    state: str = ""
    rounds: int = 0

    def takes(self, task, dataset):
        """Whether it is asked for this."""
        return task in self.tasks and dataset in self.datasets and dataset in TASKS[task].datasets


def ours(state):
    """sliceflight in one state."""
    every = tuple(TASKS)
    return Contender(
        f"sliceflight {state}", "sliceflight", f"sliceflight {state}", (*CELLS, "table", "grid"), every, state=state
    )


#: States of servers whose registry is kept.
KEPT = ("warm", "hot", "indexed")


def blocks(size):
    """h5py over s3fs with blocks of `size` MiB."""
    tasks = ("T1", "T2", "T3", "T4", "T5", "T6", "T9")
    label = f"h5py + s3fs, {size} MiB blocks"
    return Contender(label, "h5py_s3fs", "h5py best", (*HDF5_CELLS, "grid"), tasks, {"cache": size})


def zarr(label, **options):
    """zarr-python with some settings."""
    tasks = ("T1", "T2", "T3", "T4", "T5", "T6")
    return Contender(label, "zarr_python", label.split(",")[0], ZARR, tasks, options)


CONTENDERS = (
    ours("cold"),
    ours("warm"),
    ours("hot"),
    Contender("sliceflight indexed", "sliceflight", "sliceflight indexed", ("gzip",), ("T5",), state="indexed"),
    Contender("h5py + s3fs, default", "h5py_s3fs", "h5py default", ("gzip", "grid"), ("T1", "T2", "T3", "T6", "T9")),
    blocks("1"),
    blocks("8"),
    Contender(
        "bare client", "bare_client", "bare client", ("gzip", "grid"), ("T2", "T3", "T4", "T5", "T6", "T9"),
        state="bare",
    ),
    Contender(
        "LaminDB Artifact.open()", "lamindb_open", "LaminDB", ("gzip", "grid", "table"),
        ("T2", "T3", "T4", "T6", "T7", "T8", "T9"), state="lamindb",
    ),
    zarr("zarr-python + obstore", store="obstore"),
    zarr("zarr-python + obstore, 64 at once", store="obstore", concurrency=64),
    zarr("zarrs-python + obstore", store="obstore", codecs="zarrs"),
    Contender("HSDS", "hsds_client", "HSDS", ("grid",), ("T9",), state="hsds"),
    Contender("anndata read_lazy", "anndata_lazy", "anndata", ("gzip", *ZARR), ("T2", "T3", "T4", "T6"), rounds=1),
    Contender("polars", "polars_scan", "polars", ("table",), ("T7", "T8")),
    Contender("pyarrow dataset", "pyarrow_dataset", "pyarrow", ("table",), ("T7", "T8")),
    Contender("DuckDB", "duckdb_httpfs", "DuckDB", ("table",), ("T7", "T8")),
)  # fmt: skip
