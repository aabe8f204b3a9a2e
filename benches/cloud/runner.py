"""Runs measurements: every contender in turn for each task, round after round, each in a process of its own.

Slow contenders get fewer rounds (`Patience`). It computes no statistics.
"""

import json
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import chunk_index
import hsds_server
import lamindb_instance
import process
from contenders import KEPT
from tasks import TASKS

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Patience:
    """How many rounds there are, and how many for what takes long. Times in seconds; no round begins after `total`."""

    rounds: int = 5
    slow: float = 8.0
    slow_rounds: int = 2
    very_slow: float = 20.0
    limit: float = 120.0
    total: float | None = None

    def wanted(self, contender, first):
        """Rounds of a contender of which the first took `first` seconds (None: it failed)."""
        most = min(self.rounds, contender.rounds or self.rounds)
        if first is None or first > self.very_slow:
            return min(most, 1)
        return min(most, self.slow_rounds) if first > self.slow else most


class Runner:
    """Measures on one stage, and hands every measurement to `record` as a dict."""

    def __init__(self, stage, patience, record, expected):
        self.stage, self.patience, self.record, self.expected = stage, patience, record, expected
        self.first = {}

    def run(self, contenders, pairs):
        """All rounds of the contenders for `pairs` of task and data set."""
        began = time.monotonic()
        for turn in range(self.patience.rounds):
            if self.patience.total and time.monotonic() - began > self.patience.total:
                return
            for task, dataset in pairs:
                takers = [one for one in contenders if one.takes(task, dataset)]
                random.Random(turn).shuffle(takers)
                for contender in takers:
                    self.turn(contender, task, dataset, turn)

    def turn(self, contender, task, dataset, turn):
        """One measurement, unless the contender has had its rounds."""
        place = (contender.label, task, dataset)
        if turn and turn >= self.patience.wanted(contender, self.first[place]):
            return
        found = self.measure(contender, task, dataset)
        wrong = "checksum" in found and found["checksum"] != self.expected[dataset][task]["checksum"]
        found = {
            "task": task,
            "dataset": dataset,
            "tool": contender.label,
            "group": contender.group,
            "round": turn,
        } | found
        if wrong:
            found["error"] = f"WRONG: {found['shape']}, expected {self.expected[dataset][task]['shape']}"
        self.first.setdefault(place, None if "error" in found else found["wall"])
        self.record(found)

    def measure(self, contender, task, dataset):
        """Wall, CPU, memory, requests and bytes of one task in a new process."""
        stage, cloud = self.stage, self.stage.cloud.process.pid
        is_kept = contender.state in KEPT
        is_ours = is_kept or contender.state == "cold"
        with stage.server(contender.state, dataset) if is_ours else nullcontext() as server:
            order = {
                "adapter": contender.adapter, "options": contender.options, "task": task,
                "context": stage.context(dataset, server.uri if server else "", is_kept),
            }  # fmt: skip
            if contender.state in ("hot", "indexed"):
                ask(order | {"before": [task]}, self.patience.limit)
            with watched(server.process.pid if server else None) as of_server, watched(cloud) as of_cloud:
                stage.cloud.reset()
                found = ask(order, self.patience.limit, self.environment(contender))
                stats = stage.cloud.stats()
        counts = {"requests": stats["requests"], "bytes": stats["bytes_sent"], "most_in_flight": stats["max_in_flight"]}
        of_server = {f"server_{name}": value for name, value in of_server.items()}
        return found | counts | of_server | {"store_cpu": of_cloud["cpu"]}

    def environment(self, contender):
        """The environment of the measured process."""
        more = {
            "lamindb": lamindb_instance.variables(self.stage.folder),
            "hsds": hsds_server.variables(),
            "bare": chunk_index.variables(self.stage.folder),
        }
        return self.stage.cloud.environment() | more.get(contender.state, {})

    def keep_indexes(self, contenders, datasets):
        """Leaves registries with the indexes of each data set, and column indexes, for servers that are not cold."""
        for dataset in datasets:
            self.stage.register(dataset)
            tasks = [name for name, task in TASKS.items() if dataset in task.datasets]
            with self.stage.serve(self.stage.kept_registry(dataset)) as server:
                context = self.stage.context(dataset, server.uri, registered=True)
                order = {"adapter": "sliceflight", "options": {}, "task": tasks[0], "before": tasks, "context": context}
                found = ask(order, 5 * self.patience.limit)
                if "error" in found:
                    raise RuntimeError(f"no indexes of {dataset}: {found['error']}")
            if any(one.state == "indexed" and dataset in one.datasets for one in contenders):
                self.stage.build_column_index(dataset)


def ask(order, limit, environment=None):
    """The answer of one measured process, or its error."""
    command = [sys.executable, str(HERE / "measure.py")]
    environment = (os.environ if environment is None else environment) | {"PYTHONPATH": str(HERE)}
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, input=json.dumps(order), env=environment, capture_output=True, text=True, timeout=limit, cwd=HERE
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {limit:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": f"ended with {done.returncode} after {time.monotonic() - began:.0f} s: {done.stderr[-300:]}"}
    return json.loads(lines[-1])


@contextmanager
def watched(pid):
    """Fills the dict that it gives with CPU seconds and the peak of memory of a process, at the end."""
    found = {}
    if pid is not None:
        process.forget_peak(pid)
        before, idle = process.cpu_seconds(pid), process.resident(pid, "VmRSS")
    yield found
    if pid is not None:
        found.update(cpu=process.cpu_seconds(pid) - before, peak=process.resident(pid), idle=idle)
