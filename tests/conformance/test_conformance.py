"""Every file of the corpus, node by node and element by element, against h5py, zarr-python and anndata.

`CONFORMANCE_TABLE=FILE` keeps the table of the run with a line per file; `CONFORMANCE_WRITE=1` puts its summary into
`docs/formats.md`, which must fit the run.
"""

import os
import random
import warnings
from dataclasses import replace
from pathlib import Path

import numpy
import pandas
import pytest
import scipy.sparse

from . import table as tables
from .compare import same_elements, same_meaning
from .corpus import CASES
from .readers import axis_of
from .reference import ANY, count, stored_nodes, type_name
from .selections import axis, random_slice, spelled

# Compound datasets of anndata 0.6 that are tables and groups of AnnData's view; the neighbour graphs that anndata
# moves from uns to obsp while it reads.
OLD_TABLES = ("obs", "var", "obsm", "varm", "raw.var")


def test_the_corpus_is_large():
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_file(house, table, case):
    case = built(house, case)
    path = house.place(case.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case.write(path)
    outcome = table.begin(case)
    house.register(case.name)
    stored = stored_nodes(path)
    same_listing(case, house.tree(case.name), stored)
    outcome.nodes = len(stored)
    meant = case.view(path) if case.view else {}
    for node, found in stored.items():
        if found.kind == "unreadable":
            refuses(house, case, node, outcome)
        elif found.kind == "array" and not viewed(case, node, found, meant):
            compare(case, node, outcome, lambda node=node, found=found: stored_array(house, case, node, found, outcome))
    for node, expected in meant.items():
        if expected is not None:
            asked = here(node, stored)
            compare(case, node, outcome, lambda: meaning(house, case, asked, expected, outcome))
    unused(case, stored | meant)


def built(house, case):
    """The case as the tested build serves it: virtual datasets, and chunks that a filter left out, are read by the
    feature libhdf5."""
    helps = ("feature libhdf5", "a build with it reads")
    served = house.has_library and any(help in words for words in case.refused.values() for help in helps)
    return replace(case, refused={}) if served else case


def viewed(case, node, found, meant):
    """Whether a stored array is another thing in AnnData's view: then it is compared as what it means."""
    parent, _, column = node.rpartition("/")
    frame = meant.get(parent)
    coded = isinstance(frame, pandas.DataFrame) and isinstance(frame.dtypes.get(column), pandas.CategoricalDtype)
    return case.view and (meant.get(node) is not None or coded or node in OLD_TABLES and found.dtype.names is not None)


def here(node, stored):
    """The path under which the file has a node that anndata moved."""
    name = node.rsplit("/", 1)[-1]
    return f"uns/neighbors/{name}" if node.startswith("obsp/") and f"uns/neighbors/{name}" in stored else node


def same_listing(case, tree, stored):
    """The server's list of nodes is the reference reader's: names, kinds, shapes, types."""
    assert set(tree) == {node for node in stored if node} | ({""} & set(tree))
    for node, found in stored.items():
        listed = tree.get(node)
        if listed is None or case.refusal(node):
            continue
        assert listed["kind"] == found.kind, f"{node}: {listed}"
        same_attributes(node, listed, found)
        if found.kind == "array":
            assert listed["shape"] == list(found.shape or ()), f"{node}: {listed}"
            name = type_name(found.dtype)
            assert name in (None, listed["dtype"]), f"{node}: expected {name}, found {listed['dtype']}"


def same_attributes(node, listed, found):
    """The server lists every attribute, and those that JSON has a word for with their values."""
    if found.attributes is None:
        return
    assert set(listed["attributes"]) == set(found.attributes), f"attributes of {node}"
    for name, value in found.attributes.items():
        if value is not ANY:
            assert listed["attributes"][name] == value, f"attribute '{name}' of {node}"


def compare(case, node, outcome, check):
    """Runs a comparison; a refusal must be the one that the case names, and what it names must be refused."""
    try:
        check()
    except NotImplementedError as error:
        accepted(case, node, error, outcome)
    except AssertionError as error:
        raise AssertionError(f"{node}: {error}") from error
    else:
        assert case.refusal(node) is None, f"{node} is served now: take it out of `refused`"


def accepted(case, node, error, outcome):
    """A refusal with the words that the case names."""
    words = case.refusal(node)
    assert words is not None, f"{node} must be served: {error}"
    assert words in str(error), f"{node}: expected {words!r} in: {error}"
    outcome.refused[node] = str(error)


def refuses(house, case, node, outcome):
    """A link or an object without elements is refused by name."""
    with pytest.raises(NotImplementedError) as caught:
        house.client.direct({"key": case.name, "node": node})
    accepted(case, node, caught.value, outcome)


def stored_array(house, case, node, found, outcome):
    """The whole array, and two selections of it."""
    table = house.client.get({"key": case.name, "node": node} if node else (case.name,))
    assert not isinstance(found.values, Exception), f"the reference cannot read it: {found.values}"
    same_elements(table, found)
    outcome.answers += 1
    outcome.elements += count(numpy.asarray(found.values))
    if found.shape:
        selections(house, case, node, found, outcome)


def selections(house, case, node, found, outcome):
    """Slices as NumPy writes them, and composed selectors of each axis."""
    chance = random.Random(f"{case.name} {node}")
    request = {"key": case.name, "node": node}
    slices = [random_slice(chance, length) for length in found.shape]
    asked = request | {"slice": spelled(slices)}
    same_elements(house.client.direct(asked), found, found.values[tuple(slices)])
    axes = [axis(chance, length) for length in found.shape]
    asked = request | {"axes": [selectors for selectors, _ in axes]}
    same_elements(house.client.direct(asked), found, found.values[numpy.ix_(*(positions for _, positions in axes))])
    outcome.answers += 2


def meaning(house, case, node, expected, outcome):
    """What anndata reads, and rows and columns of it where they have axes of their own."""
    same_meaning(house.client.get((case.name, node)), expected)
    outcome.answers += 1
    outcome.elements += count(expected)
    chance = random.Random(f"{case.name} {node} view")
    along = axis_of(node)
    if along and (isinstance(expected, numpy.ndarray) or scipy.sparse.issparse(expected)):
        selectors, rows = axis(chance, expected.shape[0])
        taken = expected[rows]
        if f"{along}p" in node.split("/"):
            taken = taken[:, rows]
        same_meaning(house.client.direct({"key": case.name, "node": node, along: selectors}), taken)
        outcome.answers += 1


def unused(case, nodes):
    """Every pattern of a case names a node: a wrong one would hide what is refused."""
    for pattern in case.refused:
        fitting = type(case)("", "", "", "", None, refused={pattern: "x"})
        assert any(fitting.refusal(node) for node in nodes), f"no node fits {pattern!r}"


def test_the_documented_table_fits(house, table):
    """`docs/formats.md` holds what this run found."""
    if set(table.outcomes) != {case.name for case in CASES}:
        pytest.skip("not every file was looked at")
    if house.has_library:
        pytest.skip("the documented table is that of a build without the feature libhdf5")
    wanted = os.environ.get("CONFORMANCE_TABLE")
    if wanted:
        Path(wanted).write_text("\n".join(table.lines()) + "\n")
    summary = list(table.summary())
    if os.environ.get("CONFORMANCE_WRITE"):
        tables.write(summary)
    assert tables.committed() == "\n".join(summary), "run with CONFORMANCE_WRITE=1 and look at what changed"
