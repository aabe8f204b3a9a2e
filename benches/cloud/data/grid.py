"""Writes a 3-D grid as HDF5, as models of the weather store it: smooth fields with noise, shuffled and gzipped."""

import h5py
import numpy

from data.sizes import SEED


def write(path, sizes):
    """One dataset, `field`, a step of time after the other."""
    with h5py.File(path, "w") as file:
        field = file.create_dataset(
            "field", sizes.grid, "f4", chunks=sizes.grid_chunk, shuffle=True, compression="gzip"
        )
        deep = sizes.grid_chunk[0]
        for start in range(0, sizes.grid[0], deep):
            field[start : start + deep] = steps(sizes, start, min(start + deep, sizes.grid[0]))


def steps(sizes, start, stop):
    """Temperatures for some steps of time, to a hundredth of a degree."""
    chance = numpy.random.default_rng([SEED, 8, start])
    _, high, wide = sizes.grid
    time, latitude, longitude = numpy.ogrid[start:stop, :high, :wide]
    smooth = 288 + 30 * numpy.cos(latitude / high * 3 - 1.5) + 5 * numpy.sin(longitude / wide * 19 + time / 9)
    noise = chance.standard_normal((stop - start, high, wide), dtype="f4")
    return numpy.round(smooth + noise, 2).astype("f4")
