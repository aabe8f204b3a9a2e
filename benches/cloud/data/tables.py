"""Writes a table of cells as hive-partitioned parquet, one file for each tissue."""

import numpy
import pyarrow
import pyarrow.parquet

from data.sizes import CELL_TYPE_SHARES, CELL_TYPES, SEED


def write(folder, sizes):
    """All files, one after the other."""
    edges = numpy.linspace(0, sizes.table_rows, sizes.table_files + 1).astype(int)
    for place in range(sizes.table_files):
        part = folder / f"tissue=tissue{place:02}"
        part.mkdir(parents=True)
        table = rows(place, int(edges[place]), int(edges[place + 1]))
        pyarrow.parquet.write_table(table, part / "part-0.parquet", row_group_size=sizes.row_group)


def rows(place, start, stop):
    """The rows of one file."""
    chance = numpy.random.default_rng([SEED, 7, place])
    count = stop - start
    codes = chance.choice(len(CELL_TYPES), count, p=CELL_TYPE_SHARES).astype("i1")
    donors = chance.integers(0, 200, count).astype("i2")
    return pyarrow.table(
        {
            "cell_id": numpy.arange(start, stop, dtype="i8"),
            "cell_type": pyarrow.DictionaryArray.from_arrays(codes, list(CELL_TYPES)),
            "donor": pyarrow.DictionaryArray.from_arrays(donors, [f"donor{donor:03}" for donor in range(200)]),
            "percent_mito": chance.gamma(4.0, 0.05 / 3.672, count),
            "n_genes": chance.poisson(1360, count).astype("i4"),
            "n_counts": chance.gamma(3.0, 2000.0, count).astype("f4"),
            "doublet_score": chance.beta(1.0, 12.0, count).astype("f4"),
        }
    )
