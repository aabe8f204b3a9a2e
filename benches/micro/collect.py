"""Writes what Criterion measured as JSON lines: `python collect.py FOLDER_OF_CRITERION`.

A line per bench: the median of its samples in nanoseconds, with the confidence interval, and bytes or elements per
second where the bench counts them.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "flight"))

import measure  # noqa: E402


def main(folder):
    results = measure.Results(measure.RESULTS / "micro.jsonl")
    for path in sorted(Path(folder).glob("**/new/benchmark.json")):
        bench = json.loads(path.read_text())
        median = json.loads(path.with_name("estimates.json").read_text())["median"]
        interval = median["confidence_interval"]
        line = {
            "bench": bench["full_id"],
            "median_ns": round(median["point_estimate"]),
            "low_ns": round(interval["lower_bound"]),
            "high_ns": round(interval["upper_bound"]),
        }
        for unit, count in (bench["throughput"] or {}).items():
            line |= {"unit": unit.lower(), "per_second": round(count * 1e9 / median["point_estimate"])}
        results.add(**line)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(os.environ["CARGO_TARGET_DIR"]) / "criterion")
