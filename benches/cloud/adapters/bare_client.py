"""The least that any client could do with an HDF5 file whose chunk index it knows: ranged reads, inflating, copying.

No server, no Flight, no HDF5 library. Pointers of rows and what a filter looks at are read through the cloud. Chunks
are inflated by libdeflate in threads as their bytes come.
"""

import asyncio
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy
import obstore
import pandas
import scipy.sparse
from imagecodecs import deflate_decode

import chunk_index
from adapters import object_store

AT_ONCE = 64
THREADS = 2
#: Largest gap between chunks that are read together, in bytes.
GAP = 64 << 10
#: Bounds of one read's bytes: small answers are spread over all connections, but not by the kilobyte.
LEAST, MOST = 256 << 10, 1 << 20


@dataclass(frozen=True)
class Need:
    """A chunk that is wanted: its bytes in the file, its size inflated, and what takes the inflated bytes."""

    offset: int
    stop: int
    inflated: int
    take: Callable


class Adapter:
    """Knows the index and has the settings of the store before the clock; connects for each task."""

    def __init__(self, context):
        self.context = context
        self.index = chunk_index.load(context.dataset)
        self.store = object_store.opened(context)
        self.threads = ThreadPoolExecutor(THREADS)
        self.own = threading.local()

    def fetch(self, needs):
        """Reads all that is needed; each chunk is taken as soon as it is there."""
        asyncio.run(self.fetch_at_once(requests(needs)))

    async def fetch_at_once(self, reads):
        """The same, for needs that are grouped by reads."""
        free, loop = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop()

        async def fetch_one(needs):
            start, end = needs[0].offset, needs[-1].stop
            async with free:
                found = await obstore.get_range_async(self.store, self.context.key, start=start, end=end)
            await loop.run_in_executor(self.threads, self.inflate, memoryview(found), needs)

        await asyncio.gather(*map(fetch_one, reads))

    def inflate(self, found, needs):
        """Inflates the chunks of one read, always into the same memory of the thread, as it stays in its cache."""
        start = needs[0].offset
        for need in needs:
            if len(getattr(self.own, "memory", ())) < need.inflated:
                self.own.memory = numpy.empty(need.inflated, "u1")
            memory = self.own.memory[: need.inflated]
            deflate_decode(found[need.offset - start : need.stop - start], out=memory)
            need.take(memory)

    def read(self, *names, window=None):
        """Arrays, or a window of each, all at the same time."""
        filled, needs = [], []
        for name in names:
            array = self.index[name]
            parts = window or tuple(slice(0, length) for length in array.shape)
            filled.append(numpy.empty([part.stop - part.start for part in parts], array.dtype))
            needs += windowed(array, parts, filled[-1])
        self.fetch(needs)
        return filled

    def rows(self, starts, stops):
        """Rows of X in memory, from where each begins and ends; they ascend."""
        offsets = numpy.concatenate([[0], numpy.cumsum(stops - starts)])
        split = starts[1:] != stops[:-1]
        ranges = list(zip(starts[numpy.r_[True, split]].tolist(), stops[numpy.r_[split, True]].tolist(), strict=True))
        filled, needs = [], []
        for name in ("X/data", "X/indices"):
            filled.append(numpy.empty(offsets[-1], self.index[name].dtype))
            needs += ranged(self.index[name], ranges, filled[-1])
        self.fetch(needs)
        return scipy.sparse.csr_matrix((*filled, offsets), shape=(len(starts), self.context.sizes.genes), copy=False)

    def filtered_rows(self):
        codes, percent, pointers = self.read("obs/cell_type/codes", "obs/percent_mito", "X/indptr")
        types = pandas.Categorical.from_codes(codes, self.index["obs/cell_type/categories"])
        wanted = self.context.wanted(pandas.DataFrame({"cell_type": types, "percent_mito": percent}))
        rows = numpy.flatnonzero(wanted)
        return self.rows(pointers[rows], pointers[rows + 1])

    def contiguous_rows(self):
        start, stop = self.context.sizes.contiguous
        (pointers,) = self.read("X/indptr", window=(slice(start, stop + 1),))
        return self.rows(pointers[:-1], pointers[1:])

    def random_rows(self):
        rows = self.context.random_rows
        (pointers,) = self.read("X/indptr")
        return self.rows(pointers[rows], pointers[rows + 1])

    def gene(self):
        gene = self.index["var/gene"].index(self.context.gene_name)
        pointers = numpy.empty(self.index["X/indptr"].shape, self.index["X/indptr"].dtype)
        indices, hits = self.index["X/indices"], {}
        (length,), (deep,) = indices.shape, indices.chunk

        def search(number, memory):
            hits[number] = numpy.flatnonzero(memory.view(indices.dtype)[: length - number * deep] == gene)

        whole = (slice(0, len(pointers)),)
        searched = [needed(indices, (number,), partial(search, number)) for number in range(len(indices.offsets))]
        self.fetch(windowed(self.index["X/indptr"], whole, pointers) + searched)
        found = numpy.concatenate([hits[number] + number * deep for number in range(len(hits))])
        values = numpy.empty(len(found), self.index["X/data"].dtype)
        self.fetch(picked(self.index["X/data"], found, values))
        column = numpy.zeros(self.context.sizes.cells, values.dtype)
        column[numpy.searchsorted(pointers, found, "right") - 1] = values
        return column

    def embedding(self):
        return self.read("obsm/X_pca")[0]

    def hyperslab(self):
        return self.read("field", window=self.context.window)[0]


def requests(needs):
    """The needs of each ranged read: neighbours are read together, in the order in which they lie."""
    most = min(MOST, max(LEAST, sum(need.stop - need.offset for need in needs) // AT_ONCE))
    found = []
    for need in sorted(needs, key=lambda need: need.offset):
        last = found[-1] if found else None
        if last and need.offset - last[-1].stop <= GAP and need.stop - last[0].offset <= most:
            last.append(need)
        else:
            found.append([need])
    return found


def needed(array, place, take):
    """One chunk, by its place among the chunks."""
    offset = int(array.offsets[place])
    inflated = array.dtype.itemsize * int(numpy.prod(array.chunk))
    return Need(offset, offset + int(array.sizes[place]), inflated, take)


def windowed(array, window, filled):
    """The chunks that fill an array with a window of a stored one."""
    numbers = [range(part.start // deep, -(-part.stop // deep)) for part, deep in zip(window, array.chunk, strict=True)]
    found = []
    for place in itertools.product(*numbers):
        inner, outer = [], []
        for number, part, deep in zip(place, window, array.chunk, strict=True):
            start, stop = max(part.start, number * deep), min(part.stop, number * deep + deep)
            inner.append(slice(start - number * deep, stop - number * deep))
            outer.append(slice(start - part.start, stop - part.start))
        found.append(needed(array, place, partial(copy_window, array, tuple(inner), filled[tuple(outer)])))
    return found


def copy_window(array, inner, target, memory):
    """Copies what is wanted of a chunk, from each byte's own plane where it is shuffled."""
    if not array.shuffled:
        target[...] = memory.view(array.dtype).reshape(array.chunk)[inner]
        return
    size = array.dtype.itemsize
    # The last dimension of a window is contiguous, so its elements are runs of bytes.
    target_bytes = target.view("u1").reshape(*target.shape, size)
    for number, plane in enumerate(memory.reshape(size, *array.chunk)):
        target_bytes[..., number] = plane[inner]


def ranged(array, ranges, filled):
    """The chunks that fill a list with ranges of a stored one, which ascend."""
    (deep,) = array.chunk
    pieces, place = {}, 0
    for start, stop in ranges:
        while start < stop:
            number, inner = divmod(start, deep)
            length = min(stop - start, deep - inner)
            pieces.setdefault(number, []).append((inner, filled[place : place + length]))
            start, place = start + length, place + length
    return [needed(array, (number,), partial(copy_pieces, array, found)) for number, found in pieces.items()]


def copy_pieces(array, pieces, memory):
    """Copies ranges of a chunk."""
    values = memory.view(array.dtype)
    for inner, target in pieces:
        target[:] = values[inner : inner + len(target)]


def picked(array, positions, filled):
    """The chunks that fill a list with single elements of a stored one, whose positions ascend."""
    (deep,) = array.chunk
    bounds = numpy.searchsorted(positions, numpy.arange(len(array.offsets) + 1) * deep).tolist()
    found = []
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        if start < stop:
            take = partial(copy_picked, array, positions[start:stop] - number * deep, filled[start:stop])
            found.append(needed(array, (number,), take))
    return found


def copy_picked(array, positions, target, memory):
    """Copies single elements of a chunk."""
    target[:] = memory.view(array.dtype)[positions]
