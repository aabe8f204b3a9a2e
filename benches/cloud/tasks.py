"""The tasks: what is asked, of which data, and in which form answers are compared.

`T1` to `T9` are those that people wait for with such files; `SHORT` says them in a table's column.
"""

from dataclasses import dataclass

CELLS = ("gzip", "none", "lzf", "zarr2", "zarr3")


@dataclass(frozen=True)
class Task:
    """One task; `method` is what an adapter calls it, `form` how `answers` compares it."""

    name: str
    method: str
    form: str
    datasets: tuple
    text: str


TASKS = {
    task.name: task
    for task in (
        Task("T1", "tree", "tree", CELLS, "list the tree"),
        Task("T2", "filtered_rows", "sparse", CELLS, "rows of X by a filter on obs"),
        Task("T3", "contiguous_rows", "sparse", CELLS, "contiguous rows of X"),
        Task("T4", "random_rows", "sparse", CELLS, "random rows of X"),
        Task("T5", "gene", "array", CELLS, "one gene, all cells"),
        Task("T6", "embedding", "array", CELLS, "obsm/X_pca whole"),
        Task("T7", "filtered_table", "table", ("table",), "parquet: partition and predicate, 3 columns"),
        Task("T8", "whole_table", "table", ("table",), "parquet: all rows of 3 columns"),
        Task("T9", "hyperslab", "array", ("grid",), "3-D hyperslab"),
    )
}
