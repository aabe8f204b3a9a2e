"""Measurements as lines of JSON in a file: the first says what was run, on what; each other one is a measurement."""

import json
import statistics
from pathlib import Path


class Results:
    """All lines of one run, or of several runs that were appended."""

    def __init__(self, header, measurements, runs=1):
        self.header, self.measurements, self.runs = header, measurements, runs

    @classmethod
    def read(cls, path):
        """Reads a file."""
        lines = [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
        headers = [line for line in lines if line.get("type") == "run"]
        measurements = [line for line in lines if line.get("type") != "run"]
        return cls(headers[-1] if headers else {}, measurements, len(headers))

    def of(self, **wanted):
        """The measurements with these values."""
        return [line for line in self.measurements if all(line.get(name) == value for name, value in wanted.items())]

    def tools(self, task, dataset):
        """The tools that were asked, in the order in which they were first measured."""
        return list(dict.fromkeys(line["tool"] for line in self.of(task=task, dataset=dataset)))

    def pairs(self):
        """Task and data set of all measurements, in order."""
        found = {(line["task"], line["dataset"]) for line in self.measurements if "task" in line}
        return sorted(found, key=lambda pair: (pair[0], DATASETS.index(pair[1])))

    def median(self, field, **wanted):
        """The median of a field over the rounds that succeeded; None without any."""
        values = [line[field] for line in self.of(**wanted) if "error" not in line and line.get(field) is not None]
        return statistics.median(values) if values else None

    def best(self, group, task, dataset, field="wall"):
        """The least median of the contenders of a group."""
        tools = {line["tool"] for line in self.of(group=group, task=task, dataset=dataset)}
        medians = [self.median(field, tool=tool, task=task, dataset=dataset) for tool in tools]
        return min((value for value in medians if value is not None), default=None)

    def errors(self):
        """What failed or was wrong: one line for each tool, task and data set."""
        found = {}
        for line in self.measurements:
            if "error" in line and "task" in line:
                found[line["tool"], line["task"], line["dataset"]] = line["error"]
        return found


DATASETS = ("gzip", "none", "lzf", "zarr2", "zarr3", "table", "grid")


class Writer:
    """Writes lines as they come, so that a run that is stopped leaves what it has."""

    def __init__(self, path, header):
        self.file = Path(path).open("w")
        self.write({"type": "run"} | header)

    def write(self, line):
        """Writes one line."""
        self.file.write(json.dumps(rounded(line)) + "\n")
        self.file.flush()


def rounded(line):
    """The line with its times to the tenth of a millisecond."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()}
