"""Stores whose AnnData objects do not lie at the root, made while the tests run from what is committed."""

import h5py
import numpy
import pandas
import zarr
from anndata.io import read_elem, write_elem


def elements(path):
    """The parts of a MuData file by path, as anndata reads them."""
    with h5py.File(path) as file:
        parts = {name: read_elem(file[name]) for name in file if name != "mod"}
        return parts | {f"mod/{name}": read_elem(file[f"mod/{name}"]) for name in file["mod"]}


def mudata_zarr(path, source):
    """The MuData file `source` as mudata writes it to a zarr store."""
    root = zarr.open_group(path, mode="w", zarr_format=2)
    with h5py.File(source) as file:
        root.attrs.update(dict(file.attrs) | {"axis": int(file.attrs["axis"])})
        root.create_group("mod").attrs["mod-order"] = file["mod"].attrs["mod-order"].tolist()
    for name, element in elements(source).items():
        group, _, name = name.rpartition("/")
        write_elem(root[group] if group else root, name, element)
    zarr.consolidate_metadata(path)


def without_encodings(path, source):
    """The MuData file `source` without the encodings of its groups' roots, as the first versions wrote it."""
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        for group in (file, *file["mod"].values()):
            for name in ("encoding-type", "encoding-version"):
                group.attrs.pop(name, None)


def spatialdata_zarr(path, table, zarr_format):
    """A SpatialData store (container 0.1, tables 0.1, raster 0.2): a table, an image of two scales, labels, points
    and shapes (parquet, and arrays as the first versions had them); gives its arrays. Written by anndata and zarr: spatialdata itself needs many heavy packages."""
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    root.attrs["spatialdata_attrs"] = {"version": "0.1", "spatialdata_software_version": "0.4.0"}
    tables = root.create_group("tables")
    write_elem(tables, "counts", table)
    kind = {"spatialdata-encoding-type": "ngff:regions_table", "region": "circles", "version": "0.1"}
    tables["counts"].attrs.update(kind)
    images = {}
    for kind, dtype in (("images", "uint8"), ("labels", "int32")):
        element = root.create_group(f"{kind}/slide")
        element.attrs["multiscales"] = [{"version": "0.4", "datasets": [{"path": "0"}, {"path": "1"}]}]
        for scale, side in (("0", 40), ("1", 20)):
            shape = (3, side, side) if kind == "images" else (side, side)
            data = (numpy.arange(numpy.prod(shape)) % 250).reshape(shape).astype(dtype)
            element.create_array(scale, data=data, chunks=(16,) * len(shape))
            images[f"{kind}/slide/{scale}"] = data
    images["shapes/old/coords"] = numpy.arange(10.0).reshape(5, 2)
    root.create_group("shapes/old").create_array("coords", data=images["shapes/old/coords"])
    for kind, file in (("points", "points.parquet/part.0.parquet"), ("shapes", "shapes.parquet")):
        element = root.create_group(f"{kind}/circles")
        element.attrs.update({"encoding-type": f"ngff:{kind}", "spatialdata_attrs": {"version": "0.2"}})
        target = path / kind / "circles" / file
        target.parent.mkdir(exist_ok=True)
        pandas.DataFrame({"x": numpy.arange(5.0), "y": numpy.arange(5.0) * 2}).to_parquet(target)
    zarr.consolidate_metadata(path)
    return images


def large_loom(path, genes=700, cells=2000, **options):
    """A Loom file of float32, each element its own number; gives the stored matrix."""
    matrix = numpy.arange(genes * cells, dtype="float32").reshape(genes, cells)
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=matrix, compression="gzip" if options.get("chunks") else None, **options)
        for group in ("layers", "row_graphs", "col_graphs"):
            file.create_group(group)
        file["row_attrs/Gene"] = [f"gene{position}" for position in range(genes)]
        file["col_attrs/CellID"] = [f"cell{position}" for position in range(cells)]
    return matrix
