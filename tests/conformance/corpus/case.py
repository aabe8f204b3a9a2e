"""One file of the corpus: who wrote it, how, what it holds, and what a server must say of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy


@dataclass(frozen=True)
class Case:
    """A file, made by `write` when a test asks for it.

    `refused` names nodes (as in `fnmatch`) that are not served, each with a regular expression that the refusal
    must meet. `open_question` is the same for nodes of which work goes on: served right, or refused so. Every
    other node must be served.
    """

    name: str
    """Path of the file in the corpus; its suffix says to the server what it is."""
    writer: str
    """Who wrote it: h5py, PyTables, anndata 0.8.0, …"""
    version: str
    """The version of the file format, or the writer's choice that decides it."""
    holds: str
    """Types, layouts and filters, in a few words: a row of the table."""
    write: Callable[[Path], None] = field(repr=False)
    refused: dict[str, str] = field(default_factory=dict)
    open_question: dict[str, str] = field(default_factory=dict)
    view: bool = False
    """Whether anndata reads the file too, so that its own nodes are compared as well."""

    def refusal(self, node):
        """The expression that the refusal of `node` meets, or None when it must be served."""
        return first(self.refused, node)

    def question(self, node):
        """The expression that a refusal of `node` would meet, or None when it may not be refused."""
        return first(self.open_question, node)


def first(patterns, node):
    """The value of the first pattern that `node` meets."""
    return next((words for pattern, words in patterns.items() if fnmatchcase(node, pattern)), None)


INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
FLOATS = ("f2", "f4", "f8")


def numbers(count, dtype, seed=1):
    """Reproducible values that use the whole width of the type, with NaN and infinities for floats."""
    chance = numpy.random.default_rng(seed)
    dtype = numpy.dtype(dtype)
    native = dtype.newbyteorder("=")
    if dtype.kind == "b":
        return chance.random(count) < 0.5
    if dtype.kind == "f":
        values = chance.standard_normal(count).astype(native)
        values[:3] = [numpy.nan, numpy.inf, -numpy.inf][:count]
        return values.astype(dtype)
    if dtype.kind == "c":
        return (chance.standard_normal(count) + 1j * chance.standard_normal(count)).astype(dtype)
    limits = numpy.iinfo(native)
    values = chance.integers(limits.min, limits.max, size=count, dtype=native, endpoint=True)
    values[:2] = [limits.min, limits.max][:count]
    return values.astype(dtype)


def smooth(shape, dtype="i4", seed=1):
    """Values of few bits, so that every compressor finds something to do."""
    return numpy.random.default_rng(seed).integers(0, 50, size=shape).astype(dtype)


TEXTS = ["", "a", "naïve", "東京", "T cell", "long " * 20, "\U0001f9ec", "z"]


def texts(count):
    """Texts of many lengths and scripts, as an object array."""
    return numpy.array([TEXTS[position % len(TEXTS)] for position in range(count)], dtype=object)
