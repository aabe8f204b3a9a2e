"""The table that a run of the corpus makes: one line per file while it runs, a summary for `docs/formats.md`.

The summary holds nothing that changes from run to run or from machine to machine: no times and no counts of nodes.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
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
        """`read`, or what of it is refused."""
        reasons = sorted({reason(message) for message in self.refused.values()})
        if not reasons:
            return "read"
        return f"{'read, but ' if self.answers else ''}refused: {'; '.join(reasons)}"


def reason(message):
    """A refusal without what names one node or one size."""
    text = re.split(r"\. (?:Detail|gRPC)|, with message: ", message.splitlines()[0])
    text = next((part for part in text if "Flight returned" not in part), message)
    text = re.sub(r"^(?:array|dataset|node|column|chunk of)?\s*'[^']*'(?:: | has | is )?(?:the |element )?", "", text)
    return text.removeprefix("of ").rstrip(".")


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
            yield f"{name} | {case.writer} | {case.version} | {case.holds} | {counted} | {outcome.words()}"

    def summary(self):
        """The Markdown table: files of one writer, one content and one outcome in one row."""
        rows = {}
        for outcome in self.outcomes.values():
            case = outcome.case
            rows.setdefault((case.writer, case.holds, outcome.words()), []).append(case.version)
        yield f"{len(self.outcomes)} files:"
        yield ""
        yield "| writer | versions | types, layouts, filters | outcome |"
        yield "| --- | --- | --- | --- |"
        for (writer, holds, words), versions in rows.items():
            yield "| " + " | ".join(escaped(cell) for cell in (writer, joined(versions), holds, words)) + " |"


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
        DOCUMENT.write_text(f"{text.rstrip()}\n\n## What is compared\n\n{content}\n")
