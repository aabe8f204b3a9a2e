"""HSDS over the simulated cloud, when `HSDS_VENV` names a venv that has it (`requirements-hsds.txt`).

The grid is linked before anything is measured: HSDS then knows where all chunks lie, as a warm sliceflight does. Its
data nodes keep chunks in memory from one round to the next.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import stack

from data.keys import BUCKET, HSDS_DOMAIN, KEYS

ENDPOINT = "http://localhost:5101"
OWN_BUCKET = "hsds"
PATIENCE = 90


def variables():
    """How a client reaches the server."""
    return {"HS_ENDPOINT": ENDPOINT, "HS_USERNAME": "admin", "HS_PASSWORD": "admin", "HS_BUCKET": OWN_BUCKET}


@contextmanager
def running(stage):
    """A server with the grid linked; raises RuntimeError when it cannot be had."""
    program = Path(os.environ.get("HSDS_VENV", "")) / "bin" / "hsds"
    if not program.is_file():
        raise RuntimeError("HSDS_VENV names no venv with hsds")
    own = stage.store.buckets / OWN_BUCKET
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    environment = stage.cloud.environment() | variables() | {
        "AWS_S3_GATEWAY": stage.cloud.address, "AWS_GATEWAY": stage.cloud.address,
        "AWS_ACCESS_KEY_ID": stack.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": stack.SECRET_KEY, "BUCKET_NAME": OWN_BUCKET,
    }  # fmt: skip
    flags = ("--host", "localhost", "-p", "5101", "--hs_username", "admin", "--hs_password", "admin", "--count", "2")
    with (stage.folder / "hsds.log").open("w") as log:
        command = [str(program), *flags, "--bucket_name", OWN_BUCKET, "--loglevel", "WARNING"]
        server = subprocess.Popen(command, env=environment, cwd=stage.folder, stdout=log, stderr=log)
    try:
        wait(server)
        command_line("hstouch", "/home/", environment=environment)
        command_line("hstouch", f"{HSDS_DOMAIN.rpartition('/')[0]}/", environment=environment)
        command_line("hsload", "--link", f"s3://{BUCKET}/{KEYS['grid']}", HSDS_DOMAIN, environment=environment)
        yield
    finally:
        end(server)
        shutil.rmtree(own, ignore_errors=True)


def command_line(name, *arguments, environment):
    """Runs one of h5pyd's commands, which are beside the interpreter."""
    words = [str(Path(sys.executable).parent / name), *arguments]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-500:]}")


def wait(server):
    """Waits until the server says that it is ready."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{ENDPOINT}/about", timeout=5) as answer:
                if b'"READY"' in answer.read():
                    return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.5)
    raise RuntimeError("HSDS did not become ready")


def end(server):
    """Ends the server and the nodes that it started."""
    import psutil

    try:
        nodes = psutil.Process(server.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        nodes = []
    server.terminate()
    server.wait(30)
    for node in nodes:
        if node.is_running():
            node.kill()
