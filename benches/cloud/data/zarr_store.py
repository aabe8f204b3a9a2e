"""Writes the cells as zarr: version 2 as anndata does by itself, version 3 with shards."""

import numpy
import zarr
from anndata.io import write_elem


def write(path, cells, sizes, version):
    """One store with consolidated metadata."""
    root = zarr.open_group(path, mode="w", zarr_format=version)
    root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    if version == 2:
        write_elem(root, "X", cells.counts)
    else:
        sharded(root, cells.counts, sizes)
    write_elem(root, "obs", cells.obs)
    write_elem(root, "var", cells.var)
    write_elem(root, "obsm", cells.obsm)
    for name in ("layers", "varm", "obsp", "varp"):
        write_elem(root, name, {})
    write_elem(root, "uns", {"title": "benchmark", "source": "seeded"})
    zarr.consolidate_metadata(path)


def sharded(root, counts, sizes):
    """X in shards of small chunks."""
    matrix = root.create_group("X")
    shape = [int(side) for side in counts.shape]
    matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
    for name in ("data", "indices"):
        part = getattr(counts, name)
        array = matrix.create_array(
            name, shape=part.shape, dtype=part.dtype, chunks=(sizes.shard_chunk,), shards=(sizes.shard,)
        )
        array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        for start in range(0, len(part), sizes.shard):
            array[start : start + sizes.shard] = part[start : start + sizes.shard]
    pointers = matrix.create_array("indptr", data=counts.indptr.astype(numpy.int64))
    pointers.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
