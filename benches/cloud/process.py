"""CPU time and memory of a running process, from /proc (Linux)."""

import os
import re
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid, which="VmHWM"):
    """Its largest resident size since `forget_peak` (VmHWM), or the present one (VmRSS), in bytes."""
    return int(re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024


def forget_peak(pid):
    """Lets the largest resident size begin at the present one."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
