"""The benchmark: makes the data, runs each task with each tool in turn, writes raw results and `docs/benchmarks.md`.

    python benches/cloud/run.py                      the core table: gzip h5ad, zarr, parquet, grid
    python benches/cloud/run.py --all-data           also h5ad that is lzf or not compressed
    python benches/cloud/run.py --scale small --rounds 1 --tasks T3 --tools sliceflight
    python benches/cloud/run.py --only-report        writes the report anew from benches/results

It needs the release builds (`cargo build --release --locked --workspace --bins`), or SLICEFLIGHT_BIN and SIMCLOUD_BIN.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(PROJECT / "tools")]

import chunk_index  # noqa: E402
import hsds_server  # noqa: E402
import lamindb_instance  # noqa: E402
import machine  # noqa: E402
import reference  # noqa: E402
from contenders import CONTENDERS, KEPT  # noqa: E402
from data.keys import KEYS  # noqa: E402
from data.sizes import SCALES  # noqa: E402
from data.store import Store  # noqa: E402
from results import Results, Writer  # noqa: E402
from runner import Patience, Runner  # noqa: E402
from stage import Stage  # noqa: E402
from tasks import TASKS  # noqa: E402

CORE = ("gzip", "zarr2", "zarr3", "table", "grid")
#: Requests depend on the pace of the store, unless the gap between merged ranges is fixed.
SHORT_SETTINGS = {"SLICEFLIGHT_LIMITS_MERGE_GAP": "16 KiB"}
RESULTS = PROJECT / "benches" / "results"


def main():
    options = parser().parse_args()
    if options.short:
        options.scale, options.rounds = "small", 1
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    for name in ("sliceflight", "simcloud"):
        os.environ.setdefault(f"{name.upper()}_BIN", str(target / "release" / name))
    output = Path(options.output or RESULTS / f"cloud-{options.scale}.jsonl")
    if not options.only_report:
        measure(options, Path(options.data or target / "bench-data"), output)
    if not (options.no_report or options.short):
        import report

        report.write(Results.read(output), PROJECT / "docs" / "benchmarks.md", output)


def parser():
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    found.add_argument("--scale", choices=SCALES, default="full")
    found.add_argument("--data", default=os.environ.get("BENCH_DATA"), help="folder of generated data (BENCH_DATA)")
    found.add_argument("--output", help="file of raw results")
    found.add_argument("--rounds", type=int, default=5)
    found.add_argument("--slow-rounds", type=int, default=2, help="rounds of what takes longer than 8 s")
    found.add_argument("--limit", type=float, default=120, help="seconds for one measurement")
    found.add_argument("--minutes", type=float, default=0, help="begins no further round after these")
    found.add_argument("--tasks", nargs="*", choices=TASKS)
    found.add_argument("--datasets", nargs="*", choices=KEYS)
    found.add_argument("--all-data", action="store_true")
    found.add_argument("--tools", nargs="*", help="beginnings of tools' names")
    found.add_argument("--short", action="store_true", help="small data, one round, no latencies: for counts only")
    found.add_argument("--no-report", action="store_true")
    found.add_argument("--only-report", action="store_true")
    return found


def measure(options, folder, output):
    """Runs what the options say."""
    datasets = options.datasets or (tuple(KEYS) if options.all_data else CORE)
    pairs = [(name, one) for name, task in TASKS.items() for one in datasets if one in task.datasets]
    pairs = [pair for pair in pairs if not options.tasks or pair[0] in options.tasks]
    datasets = [one for one in datasets if any(pair[1] == one for pair in pairs)]
    contenders = [one for one in CONTENDERS if not options.tools or one.label.startswith(tuple(options.tools))]
    store = Store(folder, SCALES[options.scale])
    manifest = store.ensure(datasets, report=say)
    expected = reference.expected(store, datasets)
    patience = Patience(
        options.rounds, slow_rounds=options.slow_rounds, limit=options.limit, total=60 * options.minutes
    )
    header = machine.described() | {"scale": options.scale, "data": manifest, "patience": asdict(patience)}
    writer = Writer(output, header)

    def record(line):
        writer.write(line)
        outcome = (
            line.get("error") or f"{line['wall']:8.3f} s  {line['requests']:5} requests {line['bytes'] / 1e6:8.1f} MB"
        )
        say(f"{line['round'] + 1} {line['task']} {line['dataset']:6} {line['tool']:34} {outcome}")

    network = {"profile": (), "settings": SHORT_SETTINGS} if options.short else {}
    with ExitStack() as kept:
        temporary = kept.enter_context(tempfile.TemporaryDirectory())
        stage = kept.enter_context(Stage.open(store, temporary, **network))
        runner = Runner(stage, patience, record, expected)
        contenders = prepared(contenders, stage, datasets, kept)
        if any(one.state in KEPT for one in contenders):
            runner.keep_indexes(contenders, datasets)
        runner.run(contenders, pairs)


def prepared(contenders, stage, datasets, kept):
    """The contenders, without those whose surroundings cannot be had here; `kept` ends them after the run."""
    surroundings = {
        "lamindb": lambda: lamindb_instance.prepare(stage.folder, stage.cloud, [KEYS[one] for one in datasets]),
        "bare": lambda: chunk_index.prepare(stage.folder, stage.store, datasets),
        "hsds": lambda: kept.enter_context(hsds_server.running(stage)),
    }
    for state, prepare in surroundings.items():
        if any(one.state == state and set(one.datasets) & set(datasets) for one in contenders):
            try:
                prepare()
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
                say(f"without {state}: {error}")
                contenders = [one for one in contenders if one.state != state]
    return contenders


def say(text):
    """Prints at once."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
