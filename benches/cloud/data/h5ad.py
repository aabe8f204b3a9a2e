"""Writes the cells as h5ad, as anndata does: gzip with a layer, lzf, and not compressed."""

import h5py
from anndata.io import write_elem

OPTIONS = {
    "gzip": {"compression": "gzip", "compression_opts": 4},
    "lzf": {"compression": "lzf"},
    "none": {},
}


def write(path, cells, compression, layer=False):
    """One file. The layer is a copy of X, chunk by chunk, as raw counts beside X are."""
    options = OPTIONS[compression]
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_elem(file, "X", cells.counts, dataset_kwargs=options)
        for name, table in (("obs", cells.obs), ("var", cells.var)):
            write_elem(file, name, table, dataset_kwargs=options)
        write_elem(file, "layers", {})
        write_elem(file, "obsm", cells.obsm, dataset_kwargs=options)
        for name in ("varm", "obsp", "varp"):
            write_elem(file, name, {})
        write_elem(file, "uns", {"title": "benchmark", "source": "seeded"})
        if layer:
            file.copy("X", file["layers"], "counts")
