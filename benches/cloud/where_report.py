"""The part of `docs/benchmarks.md` about where the time goes, from the raw results of `where.py`."""

import statistics

from scale_report import table

#: Parts of a core's time, as the table calls them.
PARTS = {
    "inflate": "decompress",
    "pages": "pages",
    "network": "network",
    "copying": "copying",
    "other": "rest of server",
    "store": "cloud",
    "client": "client",
    "elsewhere": "elsewhere",
    "idle": "idle",
}
TEXT = """What the cores did while a task ran (`benches/cloud/where.py`, the whole machine sampled 997 times a second, which costs
some time itself; medians of {rounds} rounds; {date}, at {revision}), in seconds of one core. *decompress*, *pages* (taking
memory from the system and clearing it), *network* (the kernel's part), *copying* and the rest are the server's; *cloud* and
*client* are the simulated cloud's and the benchmark's own processes, on the same {cores} cores. *at least*: all that work
on all cores, with nothing waited for. *chain*: the longest chain of requests of which each was sent after the one before had
come; where a task has few requests, these are rounds that wait for each other, of 20 ms or more each."""


def section(results, titles, texts):
    """A table with a row for each task, data set and state."""
    found = {}
    for line in results.measurements:
        if "seconds" in line:
            found.setdefault((line["task"], line["dataset"], line["state"]), []).append(line)
    if not found:
        return ""
    header = results.header
    rounds = max(len(lines) for lines in found.values())
    text = TEXT.format(rounds=rounds, date=header["date"], revision=header["revision"], cores=header["cores"])
    head = ("task", "s", "at least", "chain", "requests", *PARTS.values())
    rows = [cells(key, lines, titles, header["cores"]) for key, lines in found.items()]
    return f"## Where the time goes\n\n{text}\n\n{table(head, rows)}\n\n{texts}"


def cells(key, lines, titles, cores):
    """The cells of one row."""
    task, dataset, state = key
    median = {name: statistics.median(line[name] for line in lines) for name in ("wall", "chain", "requests")}
    parts = {name: statistics.median(line["seconds"].get(name, 0.0) for line in lines) for name in PARTS}
    busy = sum(seconds for name, seconds in parts.items() if name not in ("idle", "elsewhere"))
    return (
        f"{task} {titles[dataset]}, {state}",
        f"{median['wall']:.3f}",
        f"{busy / cores:.3f}",
        f"{median['chain']:.0f}",
        f"{median['requests']:.0f}",
        *(f"{parts[name]:.2f}" for name in PARTS),
    )
