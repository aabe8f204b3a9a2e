"""Servers that speak the protocols of stores which cannot be had here: plain web servers of several kinds, Google
Cloud Storage, Hugging Face. Each serves a folder, notes every request, and can be told to fail.

They know what the server under test asks of such stores and no more; the standard library is all they need.
"""

import email.utils
import hashlib
import json
import os
import shutil
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape


class StandIn:
    """A running server of one kind; `settings` are attributes that its handler looks at."""

    def __init__(self, handler, folder, **settings):
        self.folder = Path(folder)
        self.log, self.faults, self.settings = [], [], settings
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), {"stand_in": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self):
        """`host:port`."""
        return "127.0.0.1:%d" % self.server.server_port

    @property
    def url(self):
        """Where it answers."""
        return f"http://{self.address}"

    def fail(self, status, count):
        """Answers the next `count` requests with `status`."""
        with self.lock:
            self.faults += [status] * count

    def reset(self):
        """Forgets log and faults."""
        with self.lock:
            self.log.clear()
            self.faults.clear()

    def stop(self):
        """Stops answering."""
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """What all have in common: the log, faults, and files with ranges and conditions."""

    protocol_version = "HTTP/1.1"
    stand_in = None

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self):
        """Every request."""
        with self.stand_in.lock:
            self.stand_in.log.append((self.command, self.path, dict(self.headers)))
            status = self.stand_in.faults.pop(0) if self.stand_in.faults else None
        if status is not None:
            self.say(status)
        else:
            self.answer(urllib.parse.unquote(urllib.parse.urlsplit(self.path).path), self.query())

    do_HEAD = do_GET

    def setting(self, name, default=None):
        return self.stand_in.settings.get(name, default)

    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))

    def say(self, status, headers=(), body=b""):
        """An answer."""
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def file(self, path, headers, ranges=True):
        """The file at `path`, or the range of it that was asked for; conditions are those of its `headers`."""
        body = path.read_bytes()
        wanted = self.headers.get("If-Match")
        since = self.headers.get("If-Unmodified-Since")
        if wanted is not None and wanted != headers.get("ETag"):
            return self.say(412)
        if since is not None and since != headers.get("Last-Modified"):
            return self.say(412)
        asked = self.headers.get("Range") if ranges and self.command == "GET" else None
        if asked is None:
            return self.say(200, headers, body)
        first, last = asked.removeprefix("bytes=").split("-")
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(len(body), int(last) + 1) if first and last else len(body)
        if start >= end:
            return self.say(416)
        headers = headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
        return self.say(206, headers, body[start:end])

    def log_message(self, *_):
        """Says nothing."""


def etag(path):
    """An ETag that is a digest of the content."""
    return '"%s"' % hashlib.md5(path.read_bytes()).hexdigest()


def modified(path):
    """The header for when a file was modified."""
    return email.utils.formatdate(path.stat().st_mtime, usegmt=True)


class Web(Handler):
    """A web server. `tags` is what it tells of versions (`etag`, `modified`, nothing), `ranges` whether it knows
    ranges, `redirects` where paths lead, `authorization` the header that it wants."""

    def answer(self, path, _):
        if self.setting("authorization") not in (None, self.headers.get("Authorization")):
            return self.say(401)
        if path in self.setting("redirects", {}):
            return self.say(302, {"Location": self.setting("redirects")[path]})
        file = self.stand_in.folder / path.lstrip("/")
        if file.is_dir():
            return self.say(301, {"Location": path + "/"}) if not path.endswith("/") else self.say(200, {}, b"index")
        if not file.is_file():
            return self.say(404)
        told = {"etag": {"ETag": etag}, "modified": {"Last-Modified": modified}}.get(self.setting("tags", "etag"), {})
        return self.file(file, {name: make(file) for name, make in told.items()}, self.setting("ranges", True))


class Gcs(Handler):
    """Buckets of Google Cloud Storage by its XML API. `token` is the bearer token that it wants."""

    def answer(self, path, query):
        token = self.setting("token")
        if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            return self.say(403, {}, b"<Error><Code>AccessDenied</Code><Details>secret-detail</Details></Error>")
        if "list-type" in query:
            return self.page(path.strip("/"), query)
        file = self.stand_in.folder / path.lstrip("/")
        if not file.is_file():
            return self.say(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
        told = {"ETag": etag(file), "Last-Modified": modified(file), "x-goog-generation": str(file.stat().st_mtime_ns)}
        return self.file(file, told)

    def page(self, bucket, query):
        """Five objects or folders below a prefix."""
        root = self.stand_in.folder / bucket
        prefix, after = query.get("prefix", ""), query.get("continuation-token", query.get("start-after", ""))
        names = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
        names = [name for name in names if name.startswith(prefix)]
        entries = dict.fromkeys(
            prefix + name[len(prefix) :].split("/")[0] + "/" if "delimiter" in query and "/" in name[len(prefix) :] else name
            for name in names
        )
        entries = [entry for entry in entries if entry > after]
        shown, more = entries[:5], len(entries) > 5
        parts = [f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""]
        for entry in shown:
            if entry.endswith("/"):
                parts.append(f"<CommonPrefixes><Prefix>{escape(entry)}</Prefix></CommonPrefixes>")
                continue
            file = root / entry
            parts.append(
                f"<Contents><Key>{escape(entry)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>{escape(etag(file))}</ETag><Size>{file.stat().st_size}</Size></Contents>"
            )
        text = f"<?xml version='1.0'?><ListBucketResult>{''.join(parts)}</ListBucketResult>"
        return self.say(200, {"Content-Type": "application/xml"}, text.encode())


LARGE = 2000


class Cdn(Handler):
    """Where a hub keeps files of at least `LARGE` bytes: a signature is needed, the ETags are its own."""

    def answer(self, path, query):
        if query.get("Signature") != "secret-signature":
            return self.say(403)
        return self.file(self.stand_in.folder / path.lstrip("/"), {"ETag": '"of-the-cdn"'})


class Hub(Handler):
    """Hugging Face: datasets as `folder/owner/name/commit`, the file `main` beside the commits says which one it is.
    `cdn` is a [`Cdn`] over the same folder, `token` the one that it wants."""

    def answer(self, path, query):
        token = self.setting("token")
        if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            return self.say(401, {"X-Error-Code": "RepoNotFound"}, b"{}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "datasets"]:
            return self.api(parts[2:4], parts[4], parts[5], "/".join(parts[6:]), query)
        if parts[0] == "datasets" and parts[3] == "resolve":
            return self.resolve(parts[1:3], parts[4], "/".join(parts[5:]))
        return self.say(404)

    def commit(self, repository, revision):
        main = self.stand_in.folder.joinpath(*repository, "main")
        return main.read_text() if revision == "main" and main.is_file() else revision

    def resolve(self, repository, revision, path):
        commit = self.commit(repository, revision)
        file = self.stand_in.folder.joinpath(*repository, commit, path)
        if not file.is_file():
            return self.say(404, {"X-Error-Code": "EntryNotFound"})
        told = {"X-Repo-Commit": commit}
        if file.stat().st_size < LARGE:
            return self.file(file, told | {"ETag": f'"{blob(file)}"'})
        where = urllib.parse.quote("/".join([*repository, commit, path]))
        linked = {"X-Linked-Etag": f'"{sha256(file)}"', "X-Linked-Size": str(file.stat().st_size)}
        place = f"{self.setting('cdn').url}/{where}?Signature=secret-signature"
        return self.say(302, told | linked | {"Location": place})

    def api(self, repository, what, revision, path, query):
        commit = self.commit(repository, revision)
        root = self.stand_in.folder.joinpath(*repository, commit)
        if not root.is_dir():
            return self.say(404, {"X-Error-Code": "RevisionNotFound"})
        if what == "revision":
            return self.say(200, {}, json.dumps({"sha": commit}).encode())
        files = sorted((root / path).rglob("*")) if query.get("recursive") == "true" else sorted((root / path).glob("*"))
        start = int(query.get("cursor", 0))
        entries = [self.entry(root, file) for file in files[start : start + 5]]
        headers = {}
        if start + 5 < len(files):
            query = urllib.parse.urlencode({"recursive": query.get("recursive", "false"), "cursor": start + 5})
            where = urllib.parse.quote(urllib.parse.unquote(urllib.parse.urlsplit(self.path).path))
            headers["Link"] = f'<{self.stand_in.url}{where}?{query}>; rel="next"'
        return self.say(200 if files else 404, headers, json.dumps(entries).encode())

    def entry(self, root, file):
        path = file.relative_to(root).as_posix()
        if file.is_dir():
            return {"type": "directory", "path": path, "oid": "tree", "size": 0}
        size = file.stat().st_size
        entry = {"type": "file", "path": path, "oid": blob(file), "size": size}
        return entry | ({"lfs": {"oid": sha256(file), "size": size, "pointerSize": 130}} if size >= LARGE else {})


def blob(file):
    """The id that Git gives to a file."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(file):
    """The id of a large file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def push(repository, changes, base=None):
    """Adds a commit to a repository of a [`Hub`] that changes files of the one before; gives its id."""
    repository.mkdir(parents=True, exist_ok=True)
    main = repository / "main"
    number = sum(1 for path in repository.iterdir() if path.is_dir())
    commit = hashlib.sha1(f"commit {number}".encode()).hexdigest()
    if base is not None:
        shutil.copytree(base, repository / commit)
    else:
        shutil.copytree(repository / main.read_text(), repository / commit)
    for path, content in changes.items():
        (repository / commit / path).write_bytes(content)
    main.write_text(commit)
    return commit


def write(path, content):
    """Writes a file whose time of modification lies some seconds behind, and differs from the one before."""
    past = int(path.stat().st_mtime) + 2 if path.exists() else 1_700_000_000
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (past, past))
