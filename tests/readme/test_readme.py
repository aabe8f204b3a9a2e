"""Runs the README from top to bottom: each snippet, in order, as a new user would.

A `bash` block runs in one shell's environment, a `python` block in one interpreter; a `text` block is
the exact output of the block before it. `<!-- test: serve -->` before a block says that it is a server,
which is left running. The port of the README is replaced by a free one.
"""

import re
import shutil
import socket
import subprocess
import sys

import pytest

import stack

README = (stack.PROJECT / "README.md").read_text()
BLOCK = re.compile(r"(?:<!-- test: (?P<mark>\w+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "8815"
BLOCK_SECONDS = 120


class Reader:
    """Someone who reads the README and does what it says."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        self.python = subprocess.Popen(
            [sys.executable, "-u", "-c", INTERPRETER], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.servers, self.output = [], None

    def follow(self, language, code, mark):
        """Does what one block says."""
        code = code.replace(PORT, self.port)
        if language == "text":
            assert lines_of(self.output) == lines_of(code)
        elif mark == "serve":
            self.serve(code)
        elif language == "bash":
            self.output = self.bash(code)
        elif language == "python":
            self.output = self.run_python(code)
        else:
            pytest.fail(f"a block of {language or 'no'} language is not run by this test")

    def bash(self, code):
        """Runs a block in bash; `export`s stay for the next blocks. `make` runs in the project."""
        folder = stack.PROJECT if code.startswith("make ") else self.folder
        exports = self.folder / ".exports"
        script = f"set -euo pipefail\n{code}\nenv -0 > {exports}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=self.environment, text=True, timeout=BLOCK_SECONDS * 5,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        pairs = exports.read_text().split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return done.stdout

    def serve(self, code):
        """Starts a server and waits for the line that the README promises."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {code.strip()}"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=open(self.folder / "serve.log", "w"), stdin=subprocess.DEVNULL,
        )
        self.servers.append(process)
        assert process.stdout.readline().strip() == f"listening on grpc://127.0.0.1:{self.port}"

    def run_python(self, code):
        """Runs a block in the one interpreter; gives what it printed."""
        self.python.stdin.write(f"{len(code)}\n{code}")
        self.python.stdin.flush()
        lines = []
        for line in self.python.stdout:
            if line.startswith("--- done"):
                assert line.strip() == "--- done well", "".join(lines)
                return "".join(lines)
            lines.append(line)
        pytest.fail("the interpreter ended: " + "".join(lines))

    def end(self):
        """Stops what was started."""
        for process in [self.python, *self.servers]:
            process.terminate()
            process.wait(20)


def lines_of(text):
    """Lines without the blanks at their ends, which pandas prints and editors remove."""
    return [line.rstrip() for line in text.strip().splitlines()]


INTERPRETER = """
import sys, traceback
names = {"__name__": "__main__"}
while length := sys.stdin.readline():
    try:
        exec(sys.stdin.read(int(length)), names)
        print("--- done well")
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        print("--- done badly")
"""


@pytest.fixture
def reader(tmp_path):
    """A folder that looks like a clone after the build, and a cloud with the README's bucket."""
    clone = tmp_path / "clone"
    (clone / "target" / "debug").mkdir(parents=True)
    for name in ("sliceflight", "simcloud"):
        (clone / "target" / "debug" / name).symlink_to(stack.binary(name))
    for name in ("tests", "examples", "README.md"):
        (clone / name).symlink_to(stack.PROJECT / name)
    bucket = tmp_path / "buckets" / "my-bucket" / "experiments"
    bucket.mkdir(parents=True)
    shutil.copy(stack.NOTEBOOK / "pbmc68k.h5ad", bucket)
    with stack.Cloud.start(tmp_path / "buckets", tmp_path / "simcloud.log") as cloud:
        # The package in python/ is found as if it were installed.
        package = {"PYTHONPATH": str(stack.PROJECT / "python" / "src")}
        environment = cloud.environment() | package | {"VENV": sys.prefix, "PYTHONUNBUFFERED": "1"}
        reader = Reader(clone, environment)
        yield reader
        reader.end()


@pytest.mark.timeout(900)
def test_readme_from_top_to_bottom(reader):
    blocks = [(match["language"], match["code"], match["mark"]) for match in BLOCK.finditer(README)]
    assert len(blocks) == README.count("\n```") / 2 > 15
    for language, code, mark in blocks:
        reader.follow(language, code, mark)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`(make \w+)`", README))))
def test_make_targets_exist(target):
    done = subprocess.run([*target.split(), "-n"], cwd=stack.PROJECT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?://|#)([^)]+)\)", README))))
def test_links_lead_somewhere(link):
    assert (stack.PROJECT / link.split("#")[0]).exists()
