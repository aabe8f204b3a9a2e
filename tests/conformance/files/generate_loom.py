"""Writes this folder's loompy-3.0.loom with loompy 3.0.8, h5py 3.16.0 and numpy 2.4.6.

    python tests/conformance/files/generate_loom.py

Committed because loompy needs a compiler of Python that the tests do not.
"""

from pathlib import Path

import loompy
import numpy
import scipy.sparse

ROWS, COLUMNS = 19, 13


def main():
    chance = numpy.random.default_rng(7)
    genes = {"Gene": numpy.array([f"gene{position}" for position in range(ROWS)]), "length": chance.integers(0, 999, ROWS)}
    cells = {"CellID": numpy.array([f"cell{position}" for position in range(COLUMNS)]), "depth": chance.random(COLUMNS)}
    cells["ClusterName"] = numpy.array(["été", "b", "c"] * 4 + ["b"])
    matrix = scipy.sparse.random(ROWS, COLUMNS, density=0.4, random_state=1).toarray().astype("float32")
    layers = {"": matrix, "spliced": (matrix > 0.5).astype("uint16")}
    path = Path(__file__).parent / "loompy-3.0.loom"
    loompy.create(str(path), layers, genes, cells, file_attrs={"title": "made for a test"})
    with loompy.connect(str(path)) as loom:
        loom.col_graphs["KNN"] = scipy.sparse.random(COLUMNS, COLUMNS, density=0.2, format="coo", random_state=2)


if __name__ == "__main__":
    main()
