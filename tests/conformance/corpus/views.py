"""Files that mean an AnnData without being one: Loom, 10x, MuData, SpatialData's tables."""

import anndata
import h5py
import mudata
import numpy
import scipy.sparse
import zarr

from .anndata_files import columns, raw, sparse, sparse_types
from .case import Case
from .committed import copied


def ten_x_3(path):
    """Cell Ranger 3's filtered_feature_bc_matrix.h5: one group `matrix`, by columns."""
    matrix = counts()
    with h5py.File(path, "w") as file:
        file.attrs["filetype"], file.attrs["version"] = "matrix", 2
        group = file.create_group("matrix")
        write_columns(group, matrix)
        group["barcodes"] = names("AAAC", matrix.shape[1], "-1")
        features = group.create_group("features")
        features["id"], features["name"] = names("ENSG", matrix.shape[0]), names("GENE", matrix.shape[0])
        features["feature_type"] = numpy.array([b"Gene Expression"] * matrix.shape[0])
        features["genome"] = numpy.array([b"GRCh38"] * matrix.shape[0])
        features["_all_tag_keys"] = numpy.array([b"genome"])


def ten_x_2(path):
    """Cell Ranger 2's: one group for each genome."""
    matrix = counts()
    with h5py.File(path, "w") as file:
        group = file.create_group("hg19")
        write_columns(group, matrix)
        group["barcodes"] = names("AAAC", matrix.shape[1], "-1")
        group["genes"], group["gene_names"] = names("ENSG", matrix.shape[0]), names("GENE", matrix.shape[0])


def counts():
    """Genes by cells, by columns."""
    matrix = scipy.sparse.random(17, 23, density=0.3, format="csc", rng=3)
    matrix.data = numpy.ceil(matrix.data * 9)
    return matrix.astype("i4")


def write_columns(group, matrix):
    options = {"compression": "gzip", "shuffle": True, "chunks": (50,)}
    group.create_dataset("data", data=matrix.data, **options)
    group.create_dataset("indices", data=matrix.indices.astype("i8"), **options)
    group.create_dataset("indptr", data=matrix.indptr.astype("i8"))
    group["shape"] = numpy.array(matrix.shape, "i4")


def names(start, count, end=""):
    return numpy.array([f"{start}{position:03}{end}".encode() for position in range(count)])


def loom_1(path):
    """Loom 1 without attributes of columns beside names. Emulated with h5py, as loompy writes 3 only."""
    with h5py.File(path, "w") as file:
        matrix = counts().toarray().astype("f4")
        file.create_dataset("matrix", data=matrix, chunks=(8, 8), compression="gzip")
        file.create_dataset("row_attrs/Gene", data=names("gene", matrix.shape[0]))
        file.create_dataset("col_attrs/CellID", data=names("cell", matrix.shape[1]))
        for group in ("layers", "row_graphs", "col_graphs"):
            file.create_group(group)
        file.attrs["LOOM_SPEC_VERSION"] = "2.0.1"


def multi():
    rna, protein = sparse_types(), columns()
    return mudata.MuData({"rna": rna, "protein": protein})


def muon_hdf5(path):
    multi().write_h5mu(path)


def muon_zarr(path):
    multi().write_zarr(path)


def spatial(path):
    """SpatialData's form: tables are AnnData, images are multiscale arrays. Emulated with zarr and anndata."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.attrs["spatialdata_attrs"] = {"version": "0.2"}
    with anndata.settings.override(zarr_write_format=3):
        anndata.io.write_elem(group, "tables/table", raw())
    images = group.create_group("images").create_group("scan")
    images.attrs["ome"] = {"version": "0.5", "multiscales": [{"datasets": [{"path": "s0"}]}]}
    images.create_array("s0", data=numpy.arange(3 * 20 * 30, dtype="u2").reshape(3, 20, 30), chunks=(1, 8, 8))
    zarr.consolidate_metadata(path)


def sparse_in_a_file(path):
    """A sparse matrix of AnnData's encoding in a file that is no AnnData."""
    with h5py.File(path, "w") as file:
        anndata.io.write_elem(file, "inside/matrix", sparse((9, 7)))
        file["plain"] = numpy.arange(4)


def cases():
    yield Case("loom/loompy.loom", "loompy 3.0", "Loom 3", "matrix, layers, attributes, graphs", copied("loompy-3.0.loom"))
    yield Case("loom/old.loom", "h5py, as loompy 2", "Loom 2", "matrix, attributes", loom_1)
    yield Case("10x/version3.h5", "h5py, as Cell Ranger 3", "10x v3", "matrix, barcodes, features", ten_x_3)
    yield Case("10x/version2.h5", "h5py, as Cell Ranger 2", "10x v2", "a group for a genome", ten_x_2)
    yield Case("mudata/two.h5mu", "mudata 0.3", "h5mu", "two modalities", muon_hdf5)
    yield Case("mudata/two.zarr", "mudata 0.3", "zarr", "two modalities", muon_zarr)
    yield Case("spatialdata/one.zarr", "zarr-python + anndata", "SpatialData", "a table and an image", spatial)
    holds = "a sparse matrix in a plain file"
    yield Case("anndata/sparse_inside.h5", "anndata 0.12", "HDF5", holds, sparse_in_a_file)


CASES = list(cases())
