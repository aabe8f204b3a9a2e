"""Writes `docs/benchmarks.md` and its plot from raw results; states nothing that is not in them."""

from pathlib import Path

import plot
import scale_report
import where_report
from context import Context
from results import DATASETS, Results
from targets import BARE, BOUNDS, RATIOS
from tasks import TASKS

TITLES = {
    "gzip": "h5ad, gzip",
    "none": "h5ad, not compressed",
    "lzf": "h5ad, lzf",
    "zarr2": "zarr v2",
    "zarr3": "zarr v3, sharded",
    "table": "parquet",
    "grid": "3-D HDF5",
}
FIELDS = (
    ("wall", "s", lambda value: f"{value:.3f}"),
    ("requests", "requests", lambda value: f"{value:.0f}"),
    ("bytes", "MB moved", lambda value: f"{value / 1e6:.1f}"),
    ("client_cpu", "CPU s, client", lambda value: f"{value:.2f}"),
    ("server_cpu", "CPU s, server", lambda value: f"{value:.2f}"),
    ("client_peak", "peak MiB, client", lambda value: f"{value / (1 << 20):.0f}"),
    ("server_peak", "peak MiB, server", lambda value: f"{value / (1 << 20):.0f}"),
)
#: Read by people from profiles and logs of requests, for the targets that are missed.
MISSED = Path(__file__).with_name("missed.md").read_text().strip()
NOT_MEASURED = """## Not measured

* Tiled 0.2.20 installs, but its HDF5 adapter refuses `s3://` and `http://` ("Supported schemes are 'file', 'sqlite', and
  'duckdb'"). Its zarr adapter was not tried.
* HSDS 1.0.2 reads HDF5 in place after `hsload --link`, which h5pyd 1.0.0 refuses ("Only datasets with 'H5D_CHUNKED'
  layout can be resizable") and h5pyd 0.24 does; it is asked for T9 only.
* anndata's `read_lazy` fails on h5py over s3fs with FileNotFoundError."""


def write(results, path, source):
    """Writes the page, and the plot beside it."""
    picture = path.with_name("benchmarks.svg")
    plot.write(results, picture)
    parts = [
        introduction(results, source), judged(results), f"![Medians of all tools]({picture.name})",
        beside(source, "where-", lambda found: where_report.section(found, TITLES, MISSED)), tables(results),
        beside(source, "scale-", scale_report.section), NOT_MEASURED, machine(results),
    ]  # fmt: skip
    path.write_text("\n\n".join(part for part in parts if part) + "\n")


def beside(source, prefix, section):
    """The section made of the raw results that lie beside `source` under another prefix, if they are there."""
    path = source.with_name(source.name.replace("cloud-", prefix))
    return section(Results.read(path)) if path.exists() and path != source else ""


def introduction(results, source):
    """What was measured and how."""
    patience = results.header["patience"]
    runs = "one run" if results.runs == 1 else f"each of {results.runs} runs"
    return f"""# Benchmarks

Written by `benches/cloud` (`make bench`) from `benches/results/{source.name}`; every number is a median of that file.

Each task ran with each tool in turn, at most {patience["rounds"]} rounds in {runs} ("rounds" says how many; a number of
one or two is a first look, no median to build on), against the same simulated cloud
(`tools/simcloud`: first byte after 20 ± 6 ms, 1 % of requests four times as late, 90 MB/s a connection, 1,250 MB/s in
all) on the same machine, each measurement in a new process. Time is the client's: it begins before anything is opened
or connected, after all imports, and ends when the answer is in memory. What took longer than {patience["slow"]:.0f} s
had {patience["slow_rounds"]} of them, longer than {patience["very_slow"]:.0f} s one (see "rounds"). The answers of
all tools are equal, to the bit, to those of plain readers on local files; one that differs stands as WRONG, without a
time.

* **cold**: a new server that has never seen the object, asked by URL. **warm**: a new server whose registry kept the
  indexes of an earlier run; nothing is in memory. **hot**: a server that has answered the same request twice before.
  **indexed**: a hot one that has built a column index of X before.
* The server's process is started before the clock, and the client pays for Flight. Client, server and cloud share the
  cores.
* h5py + s3fs reads with s3fs's own read-ahead (default), or with its block cache of 1 or 8 MiB; the better one counts.
* **bare client** is no tool but the least that any client could do, as a floor: it knows before the clock where each
  chunk lies and the names of genes and categories, so it pays no rounds for opening; it reads row pointers and columns
  of a filter as all do. It fetches many ranges at once, inflates with libdeflate in two threads as bytes come, and
  copies what is wanted in memory: no server, no Flight.
* LaminDB is `ln.Artifact.get(key=…).open()` of an instance in a local folder; the artifact lies in the cloud."""


def judged(results):
    """The targets, met or missed."""
    rows = [
        "## Targets",
        "",
        "| task | data | sliceflight | s | compared with | s | ratio | target | | bare client s |",
        "| --- | --- | --- | ---: | --- | ---: | ---: | ---: | --- | ---: |",
    ]
    for target in RATIOS:
        mine, theirs, ratio = target.judged(results)
        if mine is None and theirs is None:
            continue
        found = f"{ratio:.1f}" if ratio else "–"
        verdict = "–" if ratio is None else "met" if ratio >= target.factor else "**missed**"
        name = f"{target.task} {TASKS[target.task].text}"
        cells = (
            name,
            TITLES[target.dataset],
            target.ours,
            seconds(mine),
            target.group,
            seconds(theirs),
            found,
            f"{target.factor:g}×",
            verdict,
            seconds(results.best(BARE, target.task, target.dataset)),
        )
        rows.append(f"| {' | '.join(cells)} |")
    rows += [
        "",
        "| task | data | sliceflight | what | found | at most | |",
        "| --- | --- | --- | --- | ---: | ---: | --- |",
    ]
    for bound in BOUNDS:
        value = bound.judged(results)
        if value is not None:
            verdict = "met" if value <= bound.most else "**missed**"
            rows.append(
                f"| {bound.task} | {TITLES[bound.dataset]} | {bound.ours} | {bound.field} | {value:g} "
                f"| {bound.most:g} | {verdict} |"
            )
    return "\n".join(rows)


def seconds(value):
    """A time, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def tables(results):
    """A table of all tools for each task and data set."""
    sizes = Context("", "", "", "gzip", results.header["scale"]).sizes
    parts = [
        "## Measurements",
        f"{sizes.cells:,} cells × {sizes.genes:,} genes; {sizes.table_rows:,} rows of parquet; "
        f"a grid of {' × '.join(map(str, sizes.grid))}.",
    ]
    for task, dataset in results.pairs():
        parts.append(f"### {task} {TASKS[task].text}: {TITLES[dataset]}\n\n{one_table(results, task, dataset)}")
    return "\n\n".join(parts)


def one_table(results, task, dataset):
    """The medians of all tools for a task, the fastest first."""
    wanted = {"task": task, "dataset": dataset}
    tools = results.tools(task, dataset)
    tools.sort(key=lambda tool: results.median("wall", tool=tool, **wanted) or float("inf"))
    head = ["tool", *(title for _, title, _ in FIELDS), "rounds"]
    rows = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    for tool in tools:
        cells = []
        for field, _, shown in FIELDS:
            value = results.median(field, tool=tool, **wanted)
            cells.append("–" if value is None else shown(value))
        lines = results.of(tool=tool, **wanted)
        wrong = [line["error"] for line in lines if "error" in line]
        count = f"{len(lines)}" if not wrong else wrong[0].replace("|", "/").replace("\n", " ")[:120]
        rows.append(f"| {tool} | {' | '.join(cells)} | {count} |")
    return "\n".join(rows)


def machine(results):
    """Machine, versions and data."""
    header = results.header
    data = header["data"]["data"]
    found = [
        f"{TITLES[name]} {data[name]['bytes'] / 1e6:.0f} MB in {data[name]['files']} files"
        for name in DATASETS
        if name in data
    ]
    versions = ", ".join(f"{name} {version}" for name, version in header["packages"].items())
    return f"""## Machine and versions

{header["processor"]}, {header["cores"]} cores, {header["memory_gib"]} GiB, {header["kernel"]};
load before the run {header["load_before"]}. {header["date"]}.
sliceflight at {header["revision"]}; Python {header["python"]}; {versions}.
Data (seed {header["data"]["seed"]}): {"; ".join(found)}."""
