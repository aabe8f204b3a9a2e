"""Starts and stops the two programs of a local set-up: the S3-compatible `simcloud` and `sliceflight`.

Sits between the built binaries and whoever needs them running: the demo and the tests in Python.
It builds nothing, knows no test framework, and uses the standard library only.

    with Cloud.start(root=folder) as cloud, Server.start(registry, cloud.environment()) as server:
        print(server.uri)
"""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FIXTURES = PROJECT / "tests" / "fixtures"
NOTEBOOK = FIXTURES / "notebook"
BUCKET = "lamindb-ci"
ACCESS_KEY, SECRET_KEY = "test", "testsecret"
START_SECONDS = 30
STOP_SECONDS = 15
COMMAND_SECONDS = 120


class StackError(Exception):
    """A program did not start, or a command did not end as it should."""


def binary(name):
    """The built program `name`: `SLICEFLIGHT_BIN`, `SIMCLOUD_BIN`, else the debug build."""
    given = os.environ.get(f"{name.upper()}_BIN")
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    path = Path(given) if given else target / "debug" / name
    if not path.is_file():
        raise StackError(f"{path} is not there: run `cargo build --workspace`, or set {name.upper()}_BIN")
    return str(path.resolve())


def bare_environment():
    """This process's environment without anything that leads to a cloud, a proxy or a setting."""
    unwanted = re.compile(r"^(AWS_|SLICEFLIGHT_|GOOGLE_|AZURE_)|_proxy$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not unwanted.search(name)}


class Program:
    """A running program that has said where it listens."""

    def __init__(self, process, address, log):
        self.process, self.address, self.log = process, address, log

    @classmethod
    def launch(cls, arguments, environment, log):
        """Starts a program and waits for its line `listening on URL`; its stderr goes to the file `log`."""
        with open(log, "ab") as errors:
            process = subprocess.Popen(
                arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        lines = queue.Queue()
        threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            match = re.match(r"listening on (\S+)", line or "")
            if match:
                return cls(process, match.group(1), Path(log))
            if line is None:
                _end(process)
                raise StackError(f"{arguments[0]} did not say where it listens:\n{Path(log).read_text()[-4000:]}")

    @property
    def running(self):
        """Whether the program has not ended."""
        return self.process.poll() is None

    def stop(self):
        """Asks the program to end (SIGTERM), waits, and kills it when it does not; gives its exit code."""
        return _end(self.process)

    def kill(self):
        """Ends the program at once (SIGKILL)."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def peak_memory(self):
        """The largest resident size of the program so far, without what is mapped from files, in bytes (Linux).

        What is mapped is the program's own code, which grows by each path that runs for the first time: up to
        10 MB in a debug build, none of it memory for data. The program maps no data.
        """
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        largest, mapped = (int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) for name in ("VmHWM", "RssFile"))
        return (largest - mapped) * 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Cloud(Program):
    """`simcloud`: a folder of buckets as S3, with counters, a log and faults."""

    @classmethod
    def start(cls, root, log, *flags):
        """Serves the buckets in `root`; `flags` are simcloud's own."""
        keys = ["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]
        arguments = [binary("simcloud"), "--root", str(root), "--listen", "127.0.0.1:0", *keys, *flags]
        cloud = cls.launch(arguments, bare_environment(), log)
        cloud.root = Path(root)
        return cloud

    def environment(self):
        """The environment in which sliceflight reads from this cloud."""
        variables = {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        return bare_environment() | variables

    def fault(self, kind, **fields):
        """Adds a fault, for example `fault("status", status=503, every=3, methods=["GET"])`."""
        return self._admin("POST", "fault", fields | {"kind": kind})

    def clear_faults(self):
        """Ends all faults."""
        return self._admin("DELETE", "fault")

    def reset(self):
        """Zeroes counters and log."""
        return self._admin("POST", "reset")

    def stats(self):
        """The counters since the last reset."""
        return self._admin("GET", "stats")

    def log_entries(self):
        """The requests since the last reset, in order of arrival."""
        return self._admin("GET", "log")

    def _admin(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/_sim/{path}", data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)


class Server(Program):
    """`sliceflight serve` on a registry."""

    @classmethod
    def start(cls, registry, environment, log, *flags):
        """Serves `registry` on a free port; `flags` are those of `sliceflight serve`."""
        arguments = [binary("sliceflight"), "serve", "--listen", "127.0.0.1:0", "--registry", str(registry), *flags]
        return cls.launch(arguments, environment, log)

    @property
    def uri(self):
        """Where clients connect, `grpc://HOST:PORT`."""
        return self.address


def command(arguments, environment, check=True, **options):
    """Runs `sliceflight ARGUMENTS…` to its end; gives the finished process with its output as text."""
    options = {"capture_output": True, "text": True, "timeout": COMMAND_SECONDS, "stdin": subprocess.DEVNULL} | options
    done = subprocess.run([binary("sliceflight"), *map(str, arguments)], env=environment, **options)
    if check and done.returncode != 0:
        raise StackError(f"sliceflight {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stderr}")
    return done


def lay_out_bucket(root):
    """Copies the notebook's files into `root` as the bucket of the notebook; gives the bucket's folder."""
    bucket = Path(root) / BUCKET
    storage = bucket / "lndb-storage"
    storage.mkdir(parents=True)
    for name in ("pbmc68k.h5ad", "testfile.hdf5"):
        shutil.copy(NOTEBOOK / name, storage / name)
    shutil.copytree(NOTEBOOK / "sharded_parquet", bucket / "sharded_parquet")
    return bucket


def shard_key(louvain):
    """Key of the notebook's one shard of a louvain cluster."""
    folder = NOTEBOOK / "sharded_parquet" / f"louvain={louvain}"
    (shard,) = folder.glob("*.parquet")
    return f"sharded_parquet/louvain={louvain}/{shard.name}"


def register_notebook(registry, environment):
    """Registers the notebook's artifacts and its collection; gives the commands that did it."""
    shards = [shard_key(louvain) for louvain in (0, 1)]
    keys = ["lndb-storage/pbmc68k.h5ad", "lndb-storage/testfile.hdf5", "sharded_parquet", *shards]
    commands = [["register", f"s3://{BUCKET}/{key}", "--key", key] for key in keys]
    commands.append(["collection", "create", "sharded_parquet_collection", *shards])
    commands = [[*words, "--registry", str(registry)] for words in commands]
    for words in commands:
        command(words, environment)
    return commands


def _read_lines(stream, lines):
    """Puts each line of `stream` into `lines`, and None at its end."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def _end(process):
    """Ends a program, kindly first; gives its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
    return process.returncode
