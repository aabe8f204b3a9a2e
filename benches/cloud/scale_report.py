"""The part of `docs/benchmarks.md` about scale, from the raw results of `scale.py`."""

import statistics

MIB = 1 << 20


def section(results):
    """Tables of rows, chunks, users and memory."""
    lines = results.measurements
    parts = [
        "## Scale",
        f"sliceflight alone, same cloud. Rounds: {1 + max((line['round'] for line in lines), default=0)}; medians. "
        f"{results.header['date']}, at {results.header['revision']}.",
        rows(lines), chunks(lines), users(lines), memory(lines),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part)


def groups(lines, what, *names):
    """Medians of the lines of one question, by the values of `names`, in their order."""
    found = {}
    for line in lines:
        if line["what"] == what:
            found.setdefault(tuple(line[name] for name in names), []).append(line)
    return {values: medians(group) for values, group in found.items()}


def medians(group):
    """The median of every number; the first of everything else."""
    names = set.intersection(*(set(line) for line in group))
    return {
        name: statistics.median(line[name] for line in group)
        if isinstance(group[0][name], int | float)
        else group[0][name]
        for name in names
    }


def table(head, rows_of_cells):
    """A table in Markdown, numbers to the right."""
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + [f"| {' | '.join(map(str, cells))} |" for cells in rows_of_cells])


def rows(lines):
    """Time per row against the rows in the file."""
    found = groups(lines, "rows", "kind", "file_rows")
    cells = [
        (
            kind,
            f"{count:,}",
            f"{one['asked']:.0f}",
            f"{one['wall']:.3f}",
            f"{1e6 * one['wall'] / one['asked']:.0f}",
            f"{one['requests']:.0f}",
            f"{one['bytes'] / 1e6:.2f}",
        )
        for (kind, count), one in sorted(found.items())
    ]
    head = ("rows of X", "in the file", "asked", "s", "µs a row", "requests", "MB moved")
    said = (
        "Random rows cost by the chunks that they lie in: a thousand of them lie in the few chunks of a short file, and in "
        "nearly as many chunks as there are rows in a long one."
    )
    return f"Rows against the length of the file, index known:\n\n{table(head, cells)}\n\n{said}" if cells else ""


def chunks(lines):
    """A cold open against the number of chunks."""
    found = groups(lines, "chunks", "chunks")
    cells = [
        (f"{count:,}", f"{one['wall']:.3f}", f"{one['requests']:.0f}", f"{one['bytes'] / 1e6:.2f}")
        for (count,), one in sorted(found.items())
    ]
    head = ("chunks", "s", "requests", "MB moved")
    return "Ten elements of an unseen HDF5 array, by its number of chunks:\n\n" + table(head, cells) if cells else ""


def users(lines):
    """Many users at the same time against one that reads everything."""
    found = groups(lines, "users", "kind")
    cells = [
        (kind, f"{one['wall']:.3f}", f"{one['rows']:,.0f}", f"{one['failures']:.0f}", f"{one['server_peak'] / MIB:.0f}")
        for (kind,), one in found.items()
    ]
    if len(cells) != 2:
        return ""
    alone, together = (one["wall"] for one in found.values())
    verdict = f"Together {together / alone:.1f}× the time of one (target: at most 3×)."
    return (
        "Users of one h5ad, index known:\n\n"
        + table(("users", "s", "rows", "failures", "peak MiB"), cells)
        + "\n\n"
        + verdict
    )


def memory(lines):
    """The server's peak against the slice."""
    found = groups(lines, "memory", "asked")
    cells = [
        (f"{asked:,}", f"{one['arrow_bytes'] / 1e6:.1f}", f"{one['wall']:.3f}", f"{one['server_peak'] / MIB:.0f}")
        for (asked,), one in sorted(found.items())
    ]
    idle = groups(lines, "idle", "what")
    said = (
        f" Idle, having served nothing: {next(iter(idle.values()))['server_idle'] / MIB:.0f} MiB (target: below 80)."
        if idle
        else ""
    )
    head = ("rows of X", "MB of Arrow", "s", "peak MiB of the server")
    return (
        f"Memory under the default budget of 1 GiB (target: at most 1,224 MiB).{said}\n\n" + table(head, cells)
        if cells
        else ""
    )
