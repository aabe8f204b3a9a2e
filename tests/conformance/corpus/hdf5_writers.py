"""HDF5 files by other writers than h5py: PyTables, pandas, netCDF4, h5netcdf, MATLAB 7.3's form."""

import h5netcdf
import h5py
import hdf5storage
import netCDF4
import numpy
import pandas
import tables

from .case import FLOATS, INTEGERS, Case, numbers, smooth

TIME = "element type time"
NAMED_TYPE = "named datatype: not supported"


def pytables_arrays(path):
    """Array, CArray and EArray of many types, with attributes and groups."""
    with tables.open_file(str(path), "w", title="made for a test") as file:
        for name in (*INTEGERS, *FLOATS, "?"):
            file.create_array("/arrays", "bool" if name == "?" else name, numbers(20, name).reshape(5, 4), createparents=True)
        file.create_array("/", "texts", [b"a", b"bcd"])
        file.create_array("/", "number", 3.5)
        grown = file.create_earray("/", "grown", tables.Float32Atom(), (0, 3), chunkshape=(4, 3))
        grown.append(numbers(30, "f4").reshape(10, 3))
        grown.attrs.unit = "metres"
        file.create_carray("/", "chunks", obj=smooth((20, 7)), chunkshape=(6, 4))


def pytables_filters(library):
    def write(path):
        filters = tables.Filters(complevel=5, complib=library, shuffle=True, fletcher32=True)
        with tables.open_file(str(path), "w", filters=filters) as file:
            file.create_carray("/", "integers", obj=smooth((60, 7)), chunkshape=(16, 4))
            file.create_carray("/", "floats", obj=numpy.linspace(0, 1, 300), chunkshape=(70,))

    return write


def pytables_table(path):
    """Tables of rows, with an index over a column, and enumerations, times and rows inside rows."""

    class Inner(tables.IsDescription):
        low, high = tables.Int16Col(), tables.Float64Col(shape=(2,))

    class Row(tables.IsDescription):
        number, name = tables.Int64Col(pos=0), tables.StringCol(12, pos=1)
        flag, part = tables.BoolCol(pos=2), tables.Float32Col(pos=3)
        inner = Inner()

    with tables.open_file(str(path), "w") as file:
        table = file.create_table("/", "rows", Row, chunkshape=(7,))
        for position in range(40):
            row = table.row
            row["number"], row["name"], row["flag"] = position, f"row {position}", position % 3 == 0
            row["part"], row["inner/low"], row["inner/high"] = position / 7, -position, (position, -position)
            row.append()
        table.flush()


def pytables_enumerations(path):
    """Columns whose types are enumerations and times."""
    with tables.open_file(str(path), "w") as file:
        colours = tables.Enum({"red": 4, "green": 2})
        file.create_earray("/", "colours", tables.EnumAtom(colours, "green", base="uint8"), (0,)).append([4, 2, 4])
        file.create_array("/", "complex", numbers(6, "c16"))
        file.create_earray("/", "time64", tables.Time64Atom(), (0,)).append([1.5, 2.5])
        file.create_earray("/", "time32", tables.Time32Atom(), (0,)).append([1, 2])


def pytables_sequences(path):
    """VLArray: rows of any length."""
    with tables.open_file(str(path), "w") as file:
        ragged = file.create_vlarray("/", "ragged", tables.Int32Atom())
        for length in range(5):
            ragged.append(numpy.arange(length))


def frame():
    """A data frame with a column of every common kind."""
    frame = pandas.DataFrame({"whole": numpy.arange(12), "part": numpy.linspace(0, 1, 12), "flag": [True, False, True] * 4})
    frame["text"] = [f"text {position}" for position in range(12)]
    frame["when"] = pandas.date_range("2020-01-01", periods=12)
    return frame


def pandas_table(path):
    frame().to_hdf(path, key="frames/table", format="table", data_columns=["whole"])


def pandas_fixed(path):
    frame().drop(columns="text").to_hdf(path, key="frames/fixed", format="fixed")


def pandas_fixed_texts(path):
    frame().to_hdf(path, key="frames/fixed", format="fixed")


def pandas_compressed(path):
    frame().drop(columns="text").to_hdf(path, key="frame", format="table", complib="blosc:zstd", complevel=5)


def pandas_categories(path):
    data = frame()
    data["group"] = pandas.Categorical(["a", "b", None] * 4)
    data.to_hdf(path, key="frame", format="table")


def netcdf(kind):
    """Dimensions, coordinates, unlimited, fill values, packed variables and text."""

    def write(path):
        with netCDF4.Dataset(path, "w", format=kind) as data:
            data.title = "made for a test"
            data.createDimension("time", None)
            data.createDimension("x", 5)
            data.createVariable("time", "f8", ("time",))[:] = numpy.arange(7)
            data.createVariable("x", "f4", ("x",))[:] = numpy.linspace(0, 1, 5)
            values = data.createVariable("values", "f4", ("time", "x"), zlib=True, shuffle=True, fletcher32=True, fill_value=-9)
            values[0:7] = numbers(35, "f4").reshape(7, 5)
            values.units = "K"
            data.createVariable("never_written", "i2", ("x",))
            packed = data.createVariable("packed", "i2", ("x",))
            packed.set_auto_scale(False)
            packed.scale_factor, packed.add_offset = 0.1, 5.0
            packed[:] = [1, 2, 3, 4, 5]
            data.createDimension("letters", 4)
            data.createVariable("letters", "S1", ("x", "letters"))[:] = numpy.full((5, 4), b"q")
            if kind == "NETCDF4":
                words = data.createVariable("words", str, ("x",))
                words[:] = numpy.array(["a", "é", "", "東京", "x"], dtype=object)
                inner = data.createGroup("inner")
                inner.createVariable("unsigned", "u8", ("x",))[:] = numbers(5, "u8")

    return write


def netcdf_types(path):
    """User-defined types: an enumeration, a compound, a sequence, opaque-free."""
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("x", 4)
        colour = data.createEnumType("u1", "colour", {"red": 0, "blue": 7})
        data.createVariable("colours", colour, ("x",), fill_value=0)[:] = [0, 7, 0, 7]
        pair = data.createCompoundType(numpy.dtype([("a", "i4"), ("b", "f8")]), "pair")
        rows = numpy.zeros(4, [("a", "i4"), ("b", "f8")])
        rows["a"] = numpy.arange(4)
        data.createVariable("pairs", pair, ("x",))[:] = rows
        ragged = data.createVLType("i4", "ragged")
        values = data.createVariable("ragged_values", ragged, ("x",))
        for position in range(4):
            values[position] = numpy.arange(position + 1, dtype="i4")


def netcdf_filters(filters):
    def write(path):
        with netCDF4.Dataset(path, "w") as data:
            data.createDimension("y", 60)
            data.createDimension("x", 11)
            variable = data.createVariable("values", "i4", ("y", "x"), chunksizes=(16, 5), **filters)
            variable[:] = smooth((60, 11))

    return write


def h5netcdf_file(path):
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"x": 6, "y": None}
        file.resize_dimension("y", 4)
        file.create_variable("values", ("y", "x"), "f8", data=numbers(24, "f8").reshape(4, 6), chunks=(3, 2), compression="gzip")
        file.create_variable("x", ("x",), "i8", data=numpy.arange(6))
        file.create_variable("/inner/flags", ("x",), "u1", data=smooth(6, "u1"))


def matlab(path):
    """What MATLAB 7.3 makes: a user block, column order, characters as numbers, cells as references, structs as groups."""
    values = {
        "matrix": numbers(12, "f8").reshape(3, 4),
        "whole": smooth((4, 2), "i4"),
        "flag": numpy.array([True, False]),
        "word": "hello",
        "empty": numpy.zeros((0, 3)),
        "structure": {"a": numpy.arange(3.0), "b": "text"},
    }
    options = hdf5storage.Options(matlab_compatible=True, store_python_metadata=False)
    hdf5storage.writes(values, filename=str(path), options=options, truncate_existing=True)


def matlab_cells(path):
    """Cells are references to datasets in a group of their own; complex numbers are compounds of real and imag."""
    cells = numpy.empty(2, dtype=object)
    cells[:] = [numpy.arange(3.0), "text"]
    values = {"cell": cells, "complex": numbers(4, "c16")}
    options = hdf5storage.Options(matlab_compatible=True, store_python_metadata=False)
    hdf5storage.writes(values, filename=str(path), options=options, truncate_existing=True)


def matlab_sparse(path):
    """A sparse matrix as MATLAB lays it out: data, ir, jc. Emulated with h5py."""
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("sparse")
        group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = numpy.bytes_("double"), numpy.uint64(4)
        group["data"], group["ir"] = numbers(5, "f8"), numpy.array([0, 2, 1, 3, 0], "u8")
        group["jc"] = numpy.array([0, 2, 3, 5], "u8")


DIMENSIONS = "netCDF's dimensions, unlimited, fill values, packed, zlib + shuffle + fletcher32"


def cases():
    holds = "Array, CArray, EArray of every number type"
    yield Case("pytables/arrays.h5", "PyTables", "2", holds, pytables_arrays)
    blosc2 = [f"blosc2:{codec}" for codec in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")]
    for library in ("zlib", "bzip2", "blosc:blosclz", "blosc:lz4", "blosc:zstd", "blosc:zlib", *blosc2):
        name = f"pytables/{library.replace(':', '_')}.h5"
        yield Case(name, "PyTables", "2", f"{library}, shuffle, fletcher32", pytables_filters(library))
    yield Case("pytables/table.h5", "PyTables", "2", "Table with nested columns", pytables_table)
    refused, file = {"time64": TIME, "time32": TIME}, pytables_enumerations
    yield Case("pytables/enumerations.h5", "PyTables", "2", "enumerations, times, complex", file, refused)
    yield Case("pytables/sequences.h5", "PyTables", "2", "VLArray", pytables_sequences)
    yield Case("pandas/table.h5", "pandas HDFStore", "table", "texts, numbers, dates", pandas_table)
    yield Case("pandas/fixed.h5", "pandas HDFStore", "fixed", "blocks of numbers and dates", pandas_fixed)
    yield Case("pandas/fixed_texts.h5", "pandas HDFStore", "fixed", "pickled texts", pandas_fixed_texts)
    yield Case("pandas/compressed.h5", "pandas HDFStore", "table", "blosc:zstd", pandas_compressed)
    yield Case("pandas/categories.h5", "pandas HDFStore", "table", "categories", pandas_categories)
    for kind in ("NETCDF4", "NETCDF4_CLASSIC"):
        yield Case(f"netcdf4/{kind.lower()}.nc", "netCDF4", kind, DIMENSIONS, netcdf(kind))
    refused = dict.fromkeys(("colour", "pair", "ragged"), NAMED_TYPE)
    holds = "enumeration, compound and sequence types"
    yield Case("netcdf4/types.nc", "netCDF4", "NETCDF4", holds, netcdf_types, refused)
    for name, filters in {
        "zstd": {"compression": "zstd"},
        "bzip2": {"compression": "bzip2"},
        "szip": {"compression": "szip", "szip_coding": "nn", "szip_pixels_per_block": 8},
        "blosc_lz4": {"compression": "blosc_lz4", "blosc_shuffle": 1},
        "blosc_zstd": {"compression": "blosc_zstd", "blosc_shuffle": 2},
        "zlib": {"compression": "zlib", "complevel": 9},
    }.items():
        holds = "zlib level 9" if name == "zlib" else name.replace("_", ":")
        yield Case(f"netcdf4/{name}.nc", "netCDF4", "NETCDF4", holds, netcdf_filters(filters))
    yield Case("h5netcdf/plain.nc", "h5netcdf", "NETCDF4", "dimensions, groups, gzip", h5netcdf_file)
    yield Case("matlab/values.h5", "hdf5storage", "MATLAB 7.3", "matrices, characters, structs, user block", matlab)
    yield Case("matlab/cells.h5", "hdf5storage", "MATLAB 7.3", "cells, complex", matlab_cells)
    yield Case("matlab/sparse.h5", "h5py, as MATLAB", "MATLAB 7.3", "a sparse matrix as data, ir, jc", matlab_sparse)


CASES = list(cases())
