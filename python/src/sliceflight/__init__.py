"""Slices of HDF5, zarr, h5ad and parquet in object stores, from a sliceflight server.

    import sliceflight as sf

    ln = sf.connect("grpc://localhost:8815")
    adata = ln.Artifact.get(key="lndb-storage/pbmc68k.h5ad").open()
    adata[adata.col("percent_mito") <= 0.05, ["CD3D", "LYZ"]].to_memory()

Importing it needs pyarrow only; arrays need NumPy, AnnData needs anndata.
"""

from . import errors
from .artifact import Artifact
from .collection import Collection
from .errors import SliceflightError
from .expression import Column, Condition, col
from .label import ULabel
from .progress import Progress
from .query import QuerySet
from .session import Session, connect
from .table import Dataset, Scanner

__version__ = "0.1.0"
__all__ = [
    "Artifact",
    "Collection",
    "Column",
    "Condition",
    "Dataset",
    "Progress",
    "QuerySet",
    "Scanner",
    "Session",
    "SliceflightError",
    "ULabel",
    "col",
    "connect",
    "errors",
]
