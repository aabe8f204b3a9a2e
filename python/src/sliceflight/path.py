"""Where an artifact is stored, and what is there: `artifact.path.view_tree()`.

A path names an object; it reads nothing from the store. What is listed is what the server registered.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath

from .connection import Connection, Json
from .text_tree import Branch, draw

MAX_LINES = 1000


class ArtifactPath:
    """The URL of an artifact; its text is the URL."""

    def __init__(self, connection: Connection, source: Json, url: str) -> None:
        self._connection, self._source, self._url = connection, source, url

    @property
    def name(self) -> str:
        """The last part."""
        return self._url.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The last suffix with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> str:
        """The URL of the folder it is in."""
        return self._url.rstrip("/").rpartition("/")[0]

    def as_posix(self) -> str:
        """The URL."""
        return self._url

    def files(self) -> list[str]:
        """Paths below a folder of files, relative to it; of one file its name; of a store its nodes."""
        answer = self._connection.action("tree", self._source)
        if "files" in answer:
            return [file["path"] for file in answer["files"]]
        return [f"{node['path']}{'/' if node['kind'] == 'group' else ''}" for node in answer["nodes"]]

    def view_tree(self, level: int = -1, n_max_files: int = MAX_LINES) -> None:
        """Prints the files below, `level` folders deep (-1: all), at most `n_max_files` lines."""
        print(self.tree_text(level, n_max_files))

    def tree_text(self, level: int = -1, n_max_files: int = MAX_LINES) -> str:
        """What `view_tree` prints."""
        files = self.files()
        folders = {str(parent) for file in files for parent in PurePosixPath(file).parents if str(parent) != "."}
        folders |= {file.rstrip("/") for file in files if file.endswith("/")}
        leaves = [file for file in files if not file.endswith("/")]
        suffixes = sorted({PurePosixPath(file).suffix for file in leaves})
        word = "directory" if len(folders) == 1 else "directories"
        kinds = f" with suffixes {', '.join(map(repr, suffixes))}" if leaves else ""
        title = f"{len(folders)} sub-{word} & {len(leaves)} files{kinds}"
        lines = draw(_branches(files, level))
        shown = list(islice(lines, n_max_files))
        more = [f"... only showing {n_max_files} lines"] if next(lines, None) else []
        return "\n".join([title, self._url, *shown, *more])

    def __fspath__(self) -> str:
        raise TypeError(f"{self._url} is not a local file: open the artifact, or load it")

    def __str__(self) -> str:
        return self._url

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, (ArtifactPath, str)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._url)

    def __iter__(self) -> Iterator[str]:
        return iter(self.files())

    def __repr__(self) -> str:
        return f"ArtifactPath({self._url!r})"


def _branches(files: list[str], level: int) -> list[Branch]:
    """Files as branches, `level` deep."""
    below: dict[str, list[str]] = {}
    for file in files:
        head, slash, rest = file.partition("/")
        below.setdefault(head + slash, []).extend([rest] if rest else [])
    return [Branch(head, _branches(rest, level - 1) if level != 1 else []) for head, rest in below.items()]
