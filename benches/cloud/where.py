"""Where the time of a task goes: what the cores did while it ran, and how many requests had to wait for each other.

    python benches/cloud/where.py [--rounds 3] [--tasks T2:gzip T4:gzip:warm …]

Each task runs as in `run.py`, while `perf` samples all cores, so that the times are a little longer than there. Raw
results go to `benches/results/where-<scale>.jsonl`, their summary to `docs/benchmarks.md`. Needs the right to sample the
whole machine (`perf record -a`).
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(PROJECT / "tools")]

import machine  # noqa: E402
import runner  # noqa: E402
from data.sizes import SCALES  # noqa: E402
from data.store import Store  # noqa: E402
from results import Writer  # noqa: E402
from stage import Stage  # noqa: E402

#: What the targets that are hard to meet ask for.
TASKS = (
    "T1:gzip", "T2:gzip", "T4:gzip:warm", "T5:gzip", "T6:gzip", "T2:zarr2", "T3:zarr2", "T4:zarr2", "T5:zarr2",
    "T6:zarr2", "T6:zarr3",
)  # fmt: skip
SAMPLES_PER_SECOND = 997
#: Parts of the work of the server, by the functions that do it; the first that fits.
PARTS = (
    ("inflate", re.compile("deflate|inflate|build_decode_table|blosc|lz4|LZ4|ZSTD|HUF_|FSE_|shuffle")),
    ("pages", re.compile("clear_page|page_fault|folio|_pages|mm_fault|zap_|madvise|munmap|mmap|memcg|page_table|get_page")),
    ("network", re.compile("tcp|skb|sock|net_|_copy_to_iter|_copy_from_iter|softirq|napi|ip_|inet|loopback|epoll|recv|send")),
    ("copying", re.compile("memmove|memcpy|memset")),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--data", default=os.environ.get("BENCH_DATA"))
    parser.add_argument("--output")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    options = parser.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    for name in ("sliceflight", "simcloud"):
        os.environ.setdefault(f"{name.upper()}_BIN", str(target / "release" / name))
    store = Store(options.data or target / "bench-data", SCALES[options.scale])
    asked = [(*text.split(":"), "cold")[:3] for text in options.tasks]
    datasets = list(dict.fromkeys(dataset for _, dataset, _ in asked))
    store.ensure(datasets)
    output = options.output or PROJECT / "benches" / "results" / f"where-{options.scale}.jsonl"
    writer = Writer(output, machine.described() | {"scale": options.scale})
    with tempfile.TemporaryDirectory() as folder, Stage.open(store, folder) as stage:
        measuring = runner.Runner(stage, runner.Patience(), None, None)
        measuring.keep_indexes([], datasets)
        for turn in range(options.rounds):
            for task, dataset, state in asked:
                found = profiled(stage, task, dataset, state)
                writer.write({"what": "where", "round": turn, "task": task, "dataset": dataset, "state": state} | found)
                print(turn + 1, task, dataset, state, found, flush=True)


def profiled(stage, task, dataset, state):
    """Seconds of all cores by what they did, and the requests of one task on a server of its own."""
    samples = stage.folder / "perf.data"
    with stage.server(state, dataset) as server:
        context = stage.context(dataset, server.uri, state != "cold")
        order = {"adapter": "sliceflight", "options": {}, "task": task, "context": context}
        command = ["perf", "record", "-a", "-e", "cpu-clock", "-F", str(SAMPLES_PER_SECOND), "-k", "CLOCK_MONOTONIC"]
        sampling = subprocess.Popen([*command, "-o", samples], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        stage.cloud.reset()
        found = runner.ask(order, 120)
        requests = stage.cloud.log_entries()
        sampling.send_signal(signal.SIGINT)
        sampling.wait()
        if "error" in found:
            return found
        began, ended = found["began"], found["began"] + found["wall"]
        pids = {server.process.pid: "server", stage.cloud.process.pid: "store", found["process"]: "client"}
        return {
            "wall": found["wall"],
            "requests": len(requests),
            "bytes": sum(request["bytes"] for request in requests),
            "chain": chain(requests),
            "seconds": spent(samples, pids, began, ended),
        }


def spent(samples, pids, began, ended):
    """Seconds of the cores between two times, by part."""
    command = ["perf", "script", "-i", samples, "-F", "comm,pid,time,ip,sym"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = re.compile(r"\s*(?P<comm>.+?)\s+(?P<pid>\d+)\s+(?P<time>\d+\.\d+):\s+[0-9a-f]+\s*(?P<symbol>.*)")
    counts = Counter()
    for sample in map(line.match, text.splitlines()):
        # An idle core is not sampled everywhere: what is left of the time is idle.
        if sample and int(sample["pid"]) and began <= float(sample["time"]) <= ended:
            counts[part(sample, pids)] += 1
    found = {name: count / SAMPLES_PER_SECOND for name, count in counts.items()}
    return found | {"idle": max(0.0, os.cpu_count() * (ended - began) - sum(found.values()))}


def part(sample, pids):
    """What a core did at a sample."""
    who = pids.get(int(sample["pid"]), "elsewhere")
    if who != "server":
        return who
    return next((name for name, functions in PARTS if functions.search(sample["symbol"])), "other")


def chain(requests):
    """The longest chain of requests that each began after the one before had ended: rounds, where work waits for them."""
    length, end = 0, float("-inf")
    for request in sorted(requests, key=lambda request: request["arrived"] + request["millis"]):
        if request["arrived"] >= end:
            length, end = length + 1, request["arrived"] + request["millis"]
    return length


if __name__ == "__main__":
    main()
