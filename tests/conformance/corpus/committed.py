"""AnnData by the versions that wrote it. These files are committed; `files/generate_old_anndata.py` made them."""

import shutil
from pathlib import Path

from .case import Case

FILES = Path(__file__).resolve().parent.parent / "files"
RECORDS = {"uns/records": "(?i)rec-array|struct|legacy|no known|not supported"}


def copied(name):
    """Copies a committed file, or unpacks the archive that a committed zarr store is."""

    def write(path):
        if name.endswith(".zip"):
            shutil.unpack_archive(FILES / name, path)
        else:
            shutil.copy(FILES / name, path)

    return write


def cases():
    holds = {"dense": "dense X, gzip", "csr": "csr X, raw, gzip", "csc": "csc X, gzip"}
    for file in sorted(FILES.glob("anndata-*")):
        version, kind = file.name.split("-")[1], file.name.split("-")[2].split(".")[0]
        packed = file.name.endswith(".zarr.zip")
        form = "zarr v2" if packed else "h5ad"
        name = f"anndata-{version}/{kind}.{'zarr' if packed else 'h5ad'}"
        what = holds[kind].removesuffix(", gzip") if packed else holds[kind]
        yield Case(name, f"anndata {version}", form, what, copied(file.name), open_question=RECORDS, view=True)


CASES = list(cases())
