"""One storage of every kind with the same files in it, each behind a real server of its protocol.

A `Place` is what the tests know of a storage: its root, the `[[storage]]` that opens it, how to put a file there, and
what was asked of it.
"""

import shutil

import azurite
import stack
from stand_ins import Cdn, Gcs, Hub, StandIn, Web, push, write

SECRET = "hush-hush"


class Place:
    """A storage with files. `lists` says whether folders can be listed, `keeps` whether old versions stay readable."""

    lists, keeps = True, False

    def __init__(self, name, root, options, wrong):
        self.name, self.root, self.options, self.wrong = name, root, options, wrong

    def settings(self, **changes):
        """Its `[[storage]]`."""
        options = ", ".join(f"{name} = {_toml(value)}" for name, value in (self.options | changes).items())
        return f'[[storage]]\nroot = "{self.root}"\noptions = {{ {options} }}\n'

    def put(self, path, content):
        """Writes a file."""
        raise NotImplementedError

    def put_folder(self, path, folder):
        """Writes all files of a folder."""
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            self.put(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    def commit(self):
        """Makes what was put visible, where that takes a step."""

    def requests(self):
        """How many requests came since the last `reset`; None where nobody counts."""
        return None

    def fail(self, status, count):
        """Lets the next requests fail; False where nobody can."""
        return False

    def reset(self):
        """Forgets requests and failures."""

    def stop(self):
        """Ends its server."""


def _toml(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else f"'{value}'"


class Served(Place):
    """A place served by a stand-in."""

    def __init__(self, name, root, options, wrong, server):
        super().__init__(name, root, options, wrong)
        self.server = server

    def requests(self):
        return len(self.server.log)

    def fail(self, status, count):
        self.server.fail(status, count)
        return True

    def reset(self):
        self.server.reset()

    def stop(self):
        self.server.stop()


class S3(Place):
    """A bucket of simcloud; its endpoint stands in the root, as LaminDB writes it."""

    def __init__(self, folder):
        self.bucket = folder / "buckets" / "data"
        self.bucket.mkdir(parents=True)
        self.cloud = stack.Cloud.start(folder / "buckets", folder / "s3.log")
        options = {"access_key_id": stack.ACCESS_KEY, "secret_access_key": stack.SECRET_KEY, "region": "us-east-1"}
        super().__init__("s3", "s3://data/in", options, {"secret_access_key": SECRET})

    def settings(self, **changes):
        text = super().settings(**changes)
        return text.replace('root = "s3://data/in"', f'root = "s3://data/in?endpoint_url={self.cloud.address}"')

    def put(self, path, content):
        target = self.bucket / "in" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(target.name + ".new")
        fresh.write_bytes(content)
        fresh.rename(target)

    def requests(self):
        return self.cloud.stats()["requests"]

    def fail(self, status, count):
        self.cloud.fault("status", status=status, count=count)
        return True

    def reset(self):
        self.cloud.clear_faults()
        self.cloud.reset()

    def stop(self):
        self.cloud.stop()


class GoogleCloud(Served):
    """A bucket of the stand-in of Google Cloud Storage."""

    def __init__(self, folder):
        server = StandIn(Gcs, folder / "gcs", token="sesame")
        options = {"endpoint": server.url, "token": "sesame"}
        super().__init__("gs", "gs://data/in", options, {"token": SECRET}, server)

    def put(self, path, content):
        write(self.server.folder / "data" / "in" / path, content)


class Azure(Place):
    """A container of Azurite."""

    def __init__(self, folder):
        self.emulator = azurite.Azurite(folder / "azurite.log")
        self.emulator.create("data")
        options = {"endpoint": self.emulator.endpoint, "account": azurite.ACCOUNT, "access_key": azurite.KEY}
        super().__init__("az", "az://data/in", options, {"access_key": "aHVzaC1odXNo"})

    def put(self, path, content):
        self.emulator.upload("data", f"in/{path}", content)

    def stop(self):
        self.emulator.stop()


class WebServer(Served):
    """A web server; `tags` and `ranges` as the stand-in has them."""

    lists = False

    def __init__(self, folder, name, tags, ranges=True):
        server = StandIn(Web, folder / name, tags=tags, ranges=ranges, authorization="Basic dXNlcjpzZXNhbWU=")
        options = {"username": "user", "password": "sesame"}
        options |= {"pin_by_size": True} if tags is None else {}
        super().__init__(name, f"{server.url}/in", options, {"password": SECRET}, server)

    def put(self, path, content):
        write(self.server.folder / "in" / path, content)


class HuggingFace(Served):
    """A dataset of the stand-in of Hugging Face."""

    keeps = True

    def __init__(self, folder):
        self.repository = folder / "hub" / "owner" / "name"
        self.staged = folder / "staged"
        self.cdn = StandIn(Cdn, folder / "hub")
        server = StandIn(Hub, folder / "hub", cdn=self.cdn, token="sesame")
        options = {"endpoint": server.url, "token": "sesame", "redirects": [self.cdn.address]}
        super().__init__("hf", "hf://datasets/owner/name", options, {"token": SECRET}, server)

    def put(self, path, content):
        if (self.repository / "main").exists():
            push(self.repository, {path: content})
        else:
            write(self.staged / path, content)

    def commit(self):
        push(self.repository, {}, base=self.staged)
        shutil.rmtree(self.staged)

    def requests(self):
        return len(self.server.log) + len(self.cdn.log)

    def reset(self):
        super().reset()
        self.cdn.reset()

    def stop(self):
        super().stop()
        self.cdn.stop()


MAKERS = {
    "s3": S3,
    "gs": GoogleCloud,
    "az": Azure,
    "http-etag": lambda folder: WebServer(folder, "http-etag", "etag"),
    "http-modified": lambda folder: WebServer(folder, "http-modified", "modified"),
    "http-size": lambda folder: WebServer(folder, "http-size", None),
    "http-whole": lambda folder: WebServer(folder, "http-whole", "modified", ranges=False),
    "hf": HuggingFace,
}
