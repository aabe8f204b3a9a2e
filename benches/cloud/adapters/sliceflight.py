"""sliceflight as any Flight client reaches it: pyarrow and a ticket of JSON.

The ticket names the object by URL, or by key once it is registered.
"""

import json

import numpy
import pandas  # noqa: F401  (pyarrow imports it with the first array that becomes one of numpy)
import pyarrow
import pyarrow.flight as flight
import scipy.sparse

from data import sizes as scales


class Adapter:
    """Connects for each task anew, and makes of the answer what the other tools give."""

    def __init__(self, context):
        self.context = context
        self.source = {"key": context.key} if context.registered else {"url": context.url}

    def table(self, **request):
        """The answer of one `DoGet`."""
        with flight.connect(self.context.uri) as client:
            ticket = flight.Ticket(json.dumps(self.source | request).encode())
            return client.do_get(ticket).read_all()

    def tree(self):
        with flight.connect(self.context.uri) as client:
            body = json.dumps(self.source).encode()
            (answer,) = client.do_action(flight.Action("tree", body))
            nodes = json.loads(answer.body.to_pybytes())["nodes"]
        found = {}
        for path in (node["path"].strip("/").split("/") for node in nodes):
            names = found.setdefault(path[0], []) if path[0] else []
            names.extend(path[1:] if len(path) == 2 else [])
        return found

    def rows(self, selector):
        """Rows of X as a scipy matrix, around the buffers as they came."""
        column = one_chunk(self.table(node="X", obs=selector))
        offsets, entries = column.offsets.to_numpy(), column.values
        entries = entries.slice(offsets[0], offsets[-1] - offsets[0])
        values, indices = (entries.field(name).to_numpy() for name in ("value", "index"))
        shape = len(column), self.context.sizes.genes
        return scipy.sparse.csr_matrix((values, indices, offsets - offsets[0]), shape=shape, copy=False)

    def filtered_rows(self):
        return self.rows({"where": self.context.condition})

    def contiguous_rows(self):
        start, stop = self.context.sizes.contiguous
        return self.rows({"slice": {"start": start, "stop": stop}})

    def random_rows(self):
        return self.rows({"index": self.context.random_rows.tolist()})

    def gene(self):
        column = one_chunk(self.table(node="X", var={"names": [self.context.gene_name]}))
        found = numpy.zeros(len(column), "f4")
        lengths = numpy.diff(column.offsets.to_numpy())
        found[lengths > 0] = column.flatten().field("value").to_numpy()
        return found

    def embedding(self):
        return tensor(self.table(node="obsm/X_pca"))

    def hyperslab(self):
        text = ", ".join(f"{part.start}:{part.stop}" for part in self.context.window)
        return tensor(self.table(node="field", slice=text))

    def filtered_table(self):
        where = f"tissue = '{scales.WANTED_TISSUE}' AND {self.context.condition}"
        return self.table(partitioning="hive", where=where, columns=list(scales.TABLE_COLUMNS))

    def whole_table(self):
        return self.table(columns=list(scales.TABLE_COLUMNS))


def one_chunk(table):
    """The value column as one array."""
    chunks = table.column(table.num_columns - 1).chunks
    return chunks[0] if len(chunks) == 1 else pyarrow.concat_arrays(chunks)


def tensor(table):
    """The value column as one ndarray: each batch is one already."""
    return numpy.concatenate([chunk.to_numpy_ndarray() for chunk in table.column(table.num_columns - 1).chunks])
