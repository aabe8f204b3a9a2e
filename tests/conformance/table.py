"""The table that a run of the corpus makes: one line per file while it runs, a summary for `docs/formats.md`.

The summary holds nothing that changes from run to run or from machine to machine: no times and no counts of nodes.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
TITLE = """## What is compared

`tests/conformance` makes these files and compares every node, element by element, with h5py, anndata and zarr-python: whole,
by slices and by composed selections. `make test` does; `CONFORMANCE_WRITE=1` writes this table anew."""
BEGIN, END = "<!-- conformance:begin -->", "<!-- conformance:end -->"


@dataclass
class Outcome:
    """What a run found of one file."""

    case: object
    nodes: int = 0
    elements: int = 0
    answers: int = 0
    refused: dict = field(default_factory=dict)
    """Message of the refusal by node; of the whole file under its name."""

    def words(self):
        """`read`, `refused`, or which nodes of it are refused."""
        if not self.refused:
            return "read"
        if not self.answers:
            return "refused"
        patterns = [*self.case.refused, *self.case.open_question]
        fitting = [pattern for pattern in patterns if any(fnmatchcase(node, pattern) for node in self.refused)]
        return f"read, but for {', '.join(f'`{pattern}`' for pattern in fitting)}"


class Table:
    """The outcomes of a run, by file."""

    def __init__(self):
        self.outcomes = {}

    def begin(self, case):
        """The outcome of a file that is looked at now."""
        self.outcomes[case.name] = Outcome(case)
        return self.outcomes[case.name]

    def lines(self):
        """One line per file: everything that was counted."""
        for name, outcome in self.outcomes.items():
            case = outcome.case
            counted = f"{outcome.nodes} nodes, {outcome.answers} answers, {outcome.elements} elements"
            reasons = sorted(set(outcome.refused.values()))
            yield " | ".join((name, case.writer, case.version, case.holds, counted, outcome.words(), *reasons))

    def summary(self):
        """The Markdown table: files of one writer, the same versions and one outcome in one row."""
        versions = {}
        for outcome in self.outcomes.values():
            case = outcome.case
            versions.setdefault((case.writer, case.holds, outcome.words()), []).append(case.version)
        rows = {}
        for (writer, holds, words), found in versions.items():
            rows.setdefault((writer, joined(found), words), []).append(holds)
        yield f"{len(self.outcomes)} files:"
        yield ""
        yield "| writer | versions | types, layouts, filters | outcome |"
        yield "| --- | --- | --- | --- |"
        for (writer, found, words), holds in rows.items():
            yield "| " + " | ".join(escaped(cell) for cell in (writer, found, "; ".join(holds), words)) + " |"


def joined(versions):
    """Versions once each, in the order of the corpus, without the word that they all begin with."""
    kept = list(dict.fromkeys(versions))
    return "; ".join([kept[0], *(version.removeprefix("libver ") for version in kept[1:])])


def escaped(cell):
    return cell.replace("|", "\\|")


def committed():
    """The summary that `docs/formats.md` holds."""
    text = DOCUMENT.read_text()
    return text.split(BEGIN)[1].split(END)[0].strip() if BEGIN in text else None


def write(lines):
    """Puts a summary into `docs/formats.md`, at its end the first time."""
    text = DOCUMENT.read_text()
    content = f"{BEGIN}\n" + "\n".join(lines) + f"\n{END}"
    if BEGIN in text:
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        DOCUMENT.write_text(before + content + after)
    else:
        DOCUMENT.write_text(f"{text.rstrip()}\n\n{TITLE}\n\n{content}\n")
