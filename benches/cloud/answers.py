"""Checksums of answers, the same for whatever object a tool answers with.

Floats count by their bits. Rows of tables may come in any order: engines that scan in parallel promise none.
"""

import hashlib
import json

import numpy
import pyarrow
import pyarrow.compute
import scipy.sparse

from data.sizes import TABLE_COLUMNS


def checksum(form, answer):
    """The checksum of an answer, and its shape in words."""
    return {"tree": tree, "sparse": sparse, "array": array, "table": table}[form](answer)


def tree(answer):
    """Of `{group at the root: names in it}`."""
    listing = {group: sorted(names) for group, names in answer.items()}
    text = json.dumps(listing, sort_keys=True)
    return digest(text.encode()), f"{len(listing)} groups, {sum(map(len, listing.values()))} members"


def sparse(answer):
    """Of a matrix by rows."""
    matrix = scipy.sparse.csr_matrix(answer)
    matrix.sort_indices()
    parts = matrix.indptr.astype("i8"), matrix.indices.astype("i8"), matrix.data
    return digest(str((matrix.shape, str(matrix.dtype))).encode(), *parts), f"{matrix.shape}, {matrix.nnz} entries"


def array(answer):
    """Of a dense array."""
    values = numpy.ascontiguousarray(answer)
    return digest(str((values.shape, str(values.dtype))).encode(), values), str(values.shape)


def table(answer):
    """Of a table's rows as a multiset: the sum of a hash of each row."""
    found = answer if isinstance(answer, pyarrow.Table) else pyarrow.Table.from_pandas(answer, preserve_index=False)
    if sorted(found.column_names) != sorted(TABLE_COLUMNS):
        return "other columns: " + ", ".join(found.column_names), str(found.shape)
    hashes = numpy.zeros(found.num_rows, "u8")
    for name in TABLE_COLUMNS:
        with numpy.errstate(over="ignore"):
            hashes = mixed(hashes * numpy.uint64(0x9E3779B97F4A7C15) + words(found.column(name)))
    total = int(hashes.sum(dtype="u8")), int(numpy.bitwise_xor.reduce(hashes)) if len(hashes) else 0
    return digest(str((found.num_rows, total)).encode()), f"{found.num_rows} rows"


def words(column):
    """A column as 64-bit words: texts by their hash, floats by their bits, integers by their value."""
    kind = column.type
    if (
        pyarrow.types.is_dictionary(kind)
        or pyarrow.types.is_string(kind)
        or pyarrow.types.is_large_string(kind)
        or (kind == pyarrow.string_view())
    ):
        return texts(column)
    values = column.combine_chunks().to_numpy(zero_copy_only=False)
    if values.dtype.kind == "f":
        return values.astype("f8").view("u8")
    return values.astype("i8").view("u8")


def texts(column):
    """A column of few different texts as words."""
    if not pyarrow.types.is_dictionary(column.type):
        column = pyarrow.compute.dictionary_encode(column.cast(pyarrow.large_string()))
    parts = []
    for chunk in column.chunks:
        names = [
            int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "little")
            for name in chunk.dictionary.to_pylist()
        ]
        codes = chunk.indices.to_numpy(zero_copy_only=False)
        parts.append(numpy.array(names or [0], "u8")[codes])
    return numpy.concatenate(parts) if parts else numpy.zeros(0, "u8")


def mixed(values):
    """The finaliser of splitmix64, on every word."""
    values = (values ^ (values >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return values ^ (values >> numpy.uint64(31))


def digest(*parts):
    """The checksum of bytes and arrays."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part if isinstance(part, bytes) else numpy.ascontiguousarray(part).data)
    return state.hexdigest()[:20]
