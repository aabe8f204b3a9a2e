"""One measurement in a process of its own: reads an order as JSON from standard input, answers with one line of JSON.

The clock starts before the adapter opens or connects to anything, after all imports; it stops when the answer is in
memory in the form in which a user of that tool has it. The checksum is computed after that. Tasks that the order names
in `before` are done first, unmeasured.
"""

import importlib
import json
import os
import re
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

from answers import checksum
from context import Context
from tasks import TASKS


def main():
    warnings.simplefilter("ignore")
    order = json.load(sys.stdin)
    task = TASKS[order["task"]]
    try:
        adapter = importlib.import_module(f"adapters.{order['adapter']}").Adapter(
            Context(**order["context"]), **order["options"]
        )
        for name in order.get("before", ()):
            getattr(adapter, TASKS[name].method)()
        result = measure(getattr(adapter, task.method), task.form)
    except Exception as error:  # noqa: BLE001 - whatever a tool fails with is a result
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {error}"[:500]}
    print("\n" + json.dumps(result))


def measure(call, form):
    """Times one call."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    idle = resident("VmRSS")
    start = time.perf_counter()
    answer = call()
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    peak = resident("VmHWM")
    found, shape = checksum(form, answer)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "process": os.getpid(),
        "began": start,
        "wall": wall,
        "client_cpu": cpu,
        "client_peak": peak,
        "client_idle": idle,
        "checksum": found,
        "shape": shape,
    }


def resident(field):
    """Memory of this process, in bytes (Linux)."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1)) * 1024


if __name__ == "__main__":
    main()
