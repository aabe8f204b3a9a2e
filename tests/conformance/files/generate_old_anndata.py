"""Writes this folder's anndata-VERSION-KIND.h5ad and .zarr.zip with the anndata that is installed.

    python tests/conformance/files/generate_old_anndata.py FOLDER

Made with Python 3.11, h5py 3.16.0 and these, each in a venv of its own:

    anndata 0.6.22.post1, 0.7.8, 0.8.0   numpy 1.23.5, pandas 1.5.3, zarr 2.13.6, numcodecs 0.13.1
    anndata 0.9.2                        numpy 1.26.4, pandas 2.0.3, zarr 2.16.1, numcodecs 0.11.0
    anndata 0.10.9                       numpy 1.26.4, pandas 2.2.3, zarr 2.18.7, numcodecs 0.15.2
    anndata 0.11.4                       numpy 2.1.3, pandas 2.3.3, zarr 2.18.7, numcodecs 0.15.2

The files are small and committed, as no one installs six versions to run tests. What they must hold is what
today's anndata reads in them. A zarr store is packed into a zip archive only to be one file here.
"""

import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

warnings.simplefilter("ignore")
ROWS, COLUMNS = 23, 11


def made(kind):
    """An AnnData with what every version knows."""
    chance = np.random.RandomState(7)
    dense = chance.standard_normal((ROWS, COLUMNS)).astype("float32")
    sparse = sp.random(ROWS, COLUMNS, density=0.3, format="csr", dtype="float32", random_state=3)
    x = {"dense": dense, "csr": sparse, "csc": sparse.tocsc()}[kind]
    obs = pd.DataFrame(index=["cell%d" % position for position in range(ROWS)])
    obs["group"] = pd.Categorical(["a", "b", "c", "a"] * 5 + ["b", "c", "a"])
    obs["text"] = ["text %d" % position for position in range(ROWS)]
    obs["whole"], obs["part"] = np.arange(ROWS), np.linspace(0, 1, ROWS).astype("float32")
    obs["flag"] = np.arange(ROWS) % 2 == 0
    obs["ordered"] = pd.Categorical(["low", "high"] * 11 + ["low"], categories=["low", "mid", "high"], ordered=True)
    var = pd.DataFrame({"mean": np.linspace(0, 1, COLUMNS)}, index=["gene%d" % position for position in range(COLUMNS)])
    data = anndata.AnnData(X=x, obs=obs, var=var)
    data.obsm["X_pca"] = chance.standard_normal((ROWS, 3))
    data.varm["PCs"] = chance.standard_normal((COLUMNS, 3))
    data.layers["counts"] = sp.csr_matrix((sparse > 0.5).astype("int32"))
    data.layers["dense"] = dense.astype("float64")
    data.uns["number"], data.uns["word"] = 2.5, "text"
    data.uns["nested"] = {"numbers": np.arange(4), "deep": {"word": "inside", "matrix": np.eye(3)}}
    data.uns["words"] = np.array(["a", "bc", "def"])
    data.uns["records"] = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")])
    if hasattr(data, "obsp"):
        data.obsp["distances"] = sp.random(ROWS, ROWS, density=0.1, format="csr", random_state=5)
    if kind == "csr":
        data.raw = data
    return data


def main(folder):
    version = anndata.__version__.split(".post")[0]
    for kind in ("dense", "csr", "csc"):
        stem = Path(folder) / ("anndata-%s-%s" % (version, kind))
        made(kind).write(str(stem) + ".h5ad", compression="gzip")
        with tempfile.TemporaryDirectory() as temporary:
            store = Path(temporary) / "store.zarr"
            try:
                made(kind).write_zarr(str(store))
            except TypeError:  # 0.6 asks for the chunks of X
                made(kind).write_zarr(str(store), (7, 5))
            shutil.make_archive(str(stem) + ".zarr", "zip", str(store))


if __name__ == "__main__":
    main(sys.argv[1])
