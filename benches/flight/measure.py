"""What the benchmarks of Flight share: times of processes, facts of a run, and raw results as JSON lines.

Linux only: the numbers come from /proc.
"""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "benches" / "results"
TICKS = os.sysconf("SC_CLK_TCK")

sys.path.insert(0, str(PROJECT / "tools"))


def cpu_seconds(pid):
    """User and system time of a process with all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid, name):
    """`VmRSS` (now) or `VmHWM` (at most, since `forget_peak`) of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024


def forget_peak(pid):
    """Sets the largest resident size of a process back to its present one."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def machine():
    """What a run ran on."""
    text = Path("/proc/cpuinfo").read_text()
    (model, *_) = re.findall(r"model name\s*: (.*)", text) or [platform.machine()]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "pyarrow": importlib.metadata.version("pyarrow"),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


class Results:
    """A file of JSON lines: the machine first, then a line per measurement with the load of the moment."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(machine()) + "\n")

    def add(self, **fields):
        """Adds a line, and shows it."""
        line = json.dumps(fields | {"load": round(os.getloadavg()[0], 2)})
        with self.path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def read(path):
    """The machine and the measurements of a file of results."""
    (facts, *measurements) = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return facts, measurements
