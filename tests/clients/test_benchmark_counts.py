"""The short form of the benchmark (`benches/cloud`): its answers are right, and sliceflight asks for what is known.

The gap between merged ranges is fixed, so requests do not follow the store's pace; one may come or go where columns that
are read at the same time share a block. Bytes may differ by a few per cent with the library that compressed the data. Times
are not looked at. `SNAPSHOTS=write` writes the counts anew.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stack

RUN = stack.PROJECT / "benches" / "cloud" / "run.py"
SNAPSHOT = Path(__file__).parent / "snapshots" / "benchmark_counts.json"
SERVER = ("sliceflight cold", "sliceflight warm", "sliceflight indexed")
SECONDS = 800


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder of the generated data."""
    return tmp_path_factory.mktemp("benchmark")


def measured(data, name, *flags):
    """The measurements of one run of the benchmark."""
    output = data / f"{name}.jsonl"
    binaries = {f"{program.upper()}_BIN": stack.binary(program) for program in ("sliceflight", "simcloud")}
    command = [sys.executable, "-W", "ignore", str(RUN), "--short", "--data", str(data), "--output", str(output), *flags]
    done = subprocess.run(command, env=os.environ | binaries, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    return [line for line in lines if line.get("type") != "run"]


@pytest.mark.timeout(SECONDS)
def test_counts_of_sliceflight(data):
    lines = measured(data, "ours", "--datasets", "gzip", "table", "grid", "--tools", *SERVER)
    lines += measured(data, "sharded", "--datasets", "zarr3", "--tasks", "T2", "T4", "--tools", *SERVER)
    assert [line for line in lines if "error" in line] == [], "every answer is that of plain readers"
    found = {f"{line['task']} {line['dataset']}, {line['tool']}": [line["requests"], line["bytes"]] for line in lines}
    if os.environ.get("SNAPSHOTS") == "write":
        SNAPSHOT.write_text(json.dumps(found, indent=1).replace("[\n  ", "[").replace(",\n  ", ", ").replace("\n ]", "]") + "\n")
    expected = json.loads(SNAPSHOT.read_text())
    assert found.keys() == expected.keys()
    for name, (requests, size) in expected.items():
        assert abs(found[name][0] - requests) <= 1, f"requests of {name}: {found[name]}, expected {expected[name]}"
        assert found[name][1] == pytest.approx(size, rel=0.05, abs=2048), f"bytes of {name}"


@pytest.mark.timeout(SECONDS)
def test_other_tools_answer_the_same(data):
    """Those that the tests have anyway; each of them would stand as WRONG otherwise."""
    pytest.importorskip("s3fs")
    tools = ("h5py", "polars", "pyarrow")
    lines = measured(data, "others", "--datasets", "gzip", "table", "--tasks", "T3", "T5", "T7", "--tools", *tools)
    assert len(lines) == 7
    assert [line for line in lines if "error" in line] == []
