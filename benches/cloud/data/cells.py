"""The cells of all AnnData files: their tables, embeddings and counts, from the seed alone.

A gene is found in a share of the cells that varies over the genes as in real data, and counts are small integers: then
the indices are most of what compression leaves. Writes nothing.
"""

from dataclasses import dataclass

import numpy
import pandas
import scipy.sparse

from data.sizes import CELL_TYPE_SHARES, CELL_TYPES, SEED

BLOCK = 1000


@dataclass
class Cells:
    """obs, var, obsm and the counts as CSR of float32."""

    obs: pandas.DataFrame
    var: pandas.DataFrame
    obsm: dict
    counts: scipy.sparse.csr_matrix


def make(sizes):
    """The cells of a scale."""
    counts = matrix(sizes)
    detected = numpy.diff(counts.indptr)
    totals = numpy.add.reduceat(counts.data, counts.indptr[:-1]) if counts.nnz else numpy.zeros(sizes.cells)
    chance = numpy.random.default_rng([SEED, 2])
    embedding = chance.standard_normal((sizes.cells, sizes.components), dtype="f4")
    obsm = {"X_pca": embedding, "X_umap": chance.standard_normal((sizes.cells, 2), dtype="f4")}
    return Cells(observations(sizes, detected, totals), variables(sizes), obsm, counts)


def observations(sizes, detected, totals):
    """The table of the cells, with barcodes as index."""
    chance = numpy.random.default_rng([SEED, 1])
    count = sizes.cells
    columns = {
        "cell_type": categories(chance.choice(len(CELL_TYPES), count, p=CELL_TYPE_SHARES), CELL_TYPES),
        "donor": categories(chance.integers(0, 24, count), [f"donor{place:02}" for place in range(24)]),
        "tissue": categories(chance.integers(0, 6, count), [f"tissue{place:02}" for place in range(6)]),
        "batch": categories(chance.integers(0, 12, count), [f"batch{place:02}" for place in range(12)]),
        "percent_mito": chance.gamma(4.0, 0.05 / 3.672, count),
        "n_genes": detected.astype("i4"),
        "n_counts": totals.astype("f4"),
        "doublet_score": chance.beta(1.0, 12.0, count).astype("f4"),
        "is_primary": chance.random(count) < 0.8,
        "age": chance.integers(18, 90, count).astype("i2"),
    }
    letters = numpy.array(list("ACGT"))[chance.integers(0, 4, (count, 16))]
    names = ["".join(row) + f"-{place}" for place, row in enumerate(letters)]
    return pandas.DataFrame(columns, index=pandas.Index(names, name="barcode"))


def categories(codes, names):
    """A categorical of names."""
    return pandas.Categorical.from_codes(codes, categories=list(names))


def variables(sizes):
    """The table of the genes."""
    chance = numpy.random.default_rng([SEED, 3])
    columns = {
        "gene_id": [f"ENSG{place:011}" for place in range(sizes.genes)],
        "highly_variable": chance.random(sizes.genes) < 0.1,
        "mean": chance.random(sizes.genes, dtype="f4"),
    }
    return pandas.DataFrame(columns, index=pandas.Index([f"GENE{place}" for place in range(sizes.genes)], name="gene"))


def matrix(sizes):
    """The counts, made by blocks of cells."""
    shares = found_in(sizes)
    depth = numpy.random.default_rng([SEED, 4]).lognormal(0, 0.25, sizes.cells).astype("f4")
    indices, data, lengths = [], [], []
    for start in range(0, sizes.cells, BLOCK):
        chance = numpy.random.default_rng([SEED, 5, start])
        stop = min(start + BLOCK, sizes.cells)
        hit = chance.random((stop - start, sizes.genes), dtype="f4") < shares * depth[start:stop, None]
        rows, columns = numpy.nonzero(hit)
        indices.append(columns.astype("i4"))
        lengths.append(numpy.bincount(rows, minlength=stop - start))
        data.append(values(chance, shares[columns]))
    pointers = numpy.concatenate([[0], numpy.cumsum(numpy.concatenate(lengths))])
    parts = numpy.concatenate(data), numpy.concatenate(indices), pointers.astype("i8")
    return scipy.sparse.csr_matrix(parts, shape=(sizes.cells, sizes.genes), copy=False)


def found_in(sizes):
    """The share of the cells in which each gene is found: many rare genes, few common ones."""
    shares = numpy.random.default_rng([SEED, 6]).beta(0.35, 0.35 * (1 / sizes.density - 1), sizes.genes)
    return (shares * (sizes.density / shares.mean())).clip(0.0005, 0.95).astype("f4")


def values(chance, shares):
    """Counts of entries: one nearly always for rare genes, more for common ones."""
    return (1 + numpy.floor(chance.standard_exponential(len(shares), dtype="f4") * shares * 1.6)).astype("f4")
