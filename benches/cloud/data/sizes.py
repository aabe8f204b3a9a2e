"""How much data there is, by scale, and which parts of it the tasks ask for.

`full` is what the numbers in `docs/benchmarks.md` are measured with; `small` is made in seconds, for counts only.
"""

from dataclasses import dataclass

SEED = 20_260_301
#: Raised whenever the generator writes something else for the same seed.
VERSION = 1

CELL_TYPES = (
    "B cell", "CD4 T cell", "CD8 T cell", "Dendritic cell", "Erythrocyte",
    "Macrophage", "Monocyte", "NK cell", "Plasma cell", "Stem cell",
)  # fmt: skip
#: Dendritic and stem cells are 9.2 % of the cells, half of which have percent_mito <= 0.05.
CELL_TYPE_SHARES = (0.13, 0.21, 0.16, 0.052, 0.058, 0.09, 0.15, 0.07, 0.04, 0.04)
WANTED_TYPES = ("Dendritic cell", "Stem cell")
MOST_MITO = 0.05
TABLE_COLUMNS = ("cell_type", "percent_mito", "n_genes")
WANTED_TISSUE = "tissue07"


@dataclass(frozen=True)
class Sizes:
    """One scale. Chunks and shards are in elements; `chunk` 0 is what anndata chooses by itself."""

    name: str
    cells: int
    genes: int
    density: float
    components: int
    shard_chunk: int
    shard: int
    table_rows: int
    table_files: int
    row_group: int
    grid: tuple
    grid_chunk: tuple
    slab: tuple
    rows: int

    @property
    def contiguous(self):
        """First and one past the last of the contiguous rows of T3, from the middle of the file."""
        start = self.cells // 2
        return start, start + self.rows

    @property
    def gene(self):
        """Position of the gene of T5."""
        return self.genes // 3

    @property
    def window(self):
        """The hyperslab of T9, as (start, stop) for each dimension: aligned to no chunk."""
        starts = [(whole - part) // 3 + 1 for whole, part in zip(self.grid, self.slab, strict=True)]
        return [(start, start + part) for start, part in zip(starts, self.slab, strict=True)]


SCALES = {
    "full": Sizes(
        name="full", cells=80_000, genes=20_000, density=0.068, components=50, shard_chunk=65_536, shard=4 << 20,
        table_rows=20_000_000, table_files=22, row_group=262_144,
        grid=(160, 720, 1440), grid_chunk=(8, 180, 180), slab=(80, 120, 200), rows=1000,
    ),
    "small": Sizes(
        name="small", cells=2_000, genes=800, density=0.068, components=10, shard_chunk=2_048, shard=16_384,
        table_rows=40_000, table_files=22, row_group=1_024,
        grid=(16, 72, 144), grid_chunk=(4, 36, 36), slab=(8, 40, 60), rows=50,
    ),
}  # fmt: skip
