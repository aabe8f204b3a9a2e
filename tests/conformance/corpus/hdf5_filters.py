"""HDF5 files whose chunks went through the filters of hdf5plugin, with every inner codec."""

import h5py
import hdf5plugin
import numpy

from .case import Case, numbers, smooth
from .hdf5 import writer


def filtered(filters, lossy=False, texts=True):
    """Writes arrays of several types and chunk sizes through a filter; blosc's crashes on variable-length `texts`."""

    def write(file):
        data = smooth((26, 15))
        file.create_dataset("integers", data=data, chunks=(8, 7), **filters)
        file.create_dataset("one_chunk", data=data, chunks=data.shape, **filters)
        file.create_dataset("floats", data=numpy.linspace(0, 1, 390).reshape(26, 15), chunks=(10, 15), **filters)
        if lossy:
            return
        file.create_dataset("noise", data=numbers(700, "u8"), chunks=(333,), **filters)
        file.create_dataset("bytes", data=smooth(203, "u1"), chunks=(101,), **filters)
        file.create_dataset("big", data=(data * 3.5).astype(">f8"), chunks=(25, 8), **filters)
        file.create_dataset("resizable", data=data, chunks=(8, 7), maxshape=(None, None), **filters)
        file.create_dataset("checked", data=data, chunks=(13, 15), fletcher32=True, **filters)
        file.create_dataset("shuffled", data=data, chunks=(13, 15), shuffle=True, **filters)
        file.create_dataset("unwritten", (25, 5), "i4", chunks=(20, 2), fillvalue=-3, **filters)[1, 1] = 6
        long = numpy.arange(60000, dtype="i4") // 90
        file.create_dataset("long", data=long, chunks=(40001,), **filters)
        rows = numpy.zeros(50, [("a", "<i4"), ("b", "<f8"), ("c", "u1")])
        rows["a"], rows["b"] = smooth(50), numpy.arange(50)
        file.create_dataset("records", data=rows, chunks=(19,), **filters)
        if not texts:
            return
        strings = [f"text {position % 7}" for position in range(60)]
        file.create_dataset("texts", data=strings, dtype=h5py.string_dtype(), chunks=(25,), **filters)

    return write


def plugins():
    """Every filter by name, with what hdf5plugin calls it."""
    for level in (3, 19):
        yield f"zstd level {level}", hdf5plugin.Zstd(clevel=level)
    yield "lz4", hdf5plugin.LZ4()
    yield "lz4 in blocks", hdf5plugin.LZ4(nbytes=200)
    yield "bzip2", hdf5plugin.BZip2()
    for inner in ("none", "lz4", "zstd"):
        yield f"bitshuffle, {inner}", hdf5plugin.Bitshuffle(cname=inner)
    for inner in ("blosclz", "lz4", "lz4hc", "zlib", "zstd"):
        for shuffle in ("noshuffle", "shuffle", "bitshuffle"):
            options = {"cname": inner, "clevel": 5, "shuffle": getattr(hdf5plugin.Blosc, shuffle.upper())}
            yield f"blosc {inner}, {shuffle}", hdf5plugin.Blosc(**options)
        # hdf5plugin fails to compress with trunc_prec, and HDF5 stores the chunks as they are.
        for filters in ("nofilter", "shuffle", "bitshuffle", "delta", "trunc_prec"):
            options = {"cname": inner, "clevel": 5, "filters": getattr(hdf5plugin.Blosc2, filters.upper())}
            yield f"blosc2 {inner}, {filters}", hdf5plugin.Blosc2(**options)


# What libhdf5 reads all the same, where it is built in.
SKIPPED = "dataset 'texts' has the filter bitshuffle (id 32008): not supported (libhdf5 does not have it either, a build with it reads"


def refused():
    """Filters that are refused by name, with their numbers."""
    yield "zfp", hdf5plugin.Zfp(reversible=True), "zfp (id 32013)"
    yield "sz3", hdf5plugin.SZ3(absolute=0.01), "sz3 (id 32024)"


def cases():
    for name, filters in plugins():
        path = f"hdf5plugin/{name.replace(', ', '_').replace(' ', '_')}.h5"
        version = "libver earliest" if "lz4" in name else "libver latest"
        file = writer(version.split()[1], filtered(filters, texts="blosc" not in name))
        # The filter skipped every chunk of texts as it knows no size of them; it is refused all the same.
        skipped = {"texts": SKIPPED} if name in ("bitshuffle, none", "bitshuffle, lz4") else {}
        yield Case(path, "h5py + hdf5plugin", version, name, file, refused=skipped)
    for name, filters, words in refused():
        path = f"hdf5plugin/{name.replace(' ', '_')}.h5"
        file = writer("latest", filtered(filters, lossy=True, texts=False))
        nodes = {"*": f"has the filter {words}: not supported"}
        yield Case(path, "h5py + hdf5plugin", "libver latest", name, file, nodes)


CASES = list(cases())
