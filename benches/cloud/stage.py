"""What stands beside the measured processes: the simulated cloud, and servers of sliceflight in the state asked for.

with Stage.open(store, folder) as stage, stage.server("cold", "gzip") as server:
    server.uri
"""

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))

import stack  # noqa: E402

from data.keys import BUCKET, KEYS  # noqa: E402

#: The profile "S3-like": first byte after 20 ± 6 ms, 1 % four times as late, 90 MB/s a connection, 1,250 MB/s in all.
S3_LIKE = ("--latency-ms", "20", "--jitter-ms", "6", "--connection-mbps", "90", "--total-mbps", "1250")
#: Longest time for one column index.
INDEX_SECONDS = 900
#: Digests of gigabytes are computed before simcloud listens.
stack.START_SECONDS = 300


class Stage:
    """A cloud over the generated data, and a folder for registries and logs."""

    def __init__(self, store, folder, cloud, settings):
        self.store, self.folder, self.cloud, self.settings = store, Path(folder), cloud, settings
        self.log = self.folder / "server.log"
        self.count = 0

    @classmethod
    @contextmanager
    def open(cls, store, folder, profile=S3_LIKE, settings=None):
        """Starts the cloud; `settings` are variables for every server of sliceflight."""
        log = Path(folder) / "simcloud.log"
        with stack.Cloud.start(store.buckets, log, "--warm-etags", *profile) as cloud:
            yield cls(store, folder, cloud, settings or {})

    def context(self, dataset, uri="", registered=False):
        """What an adapter is told."""
        keys = {"access_key": stack.ACCESS_KEY, "secret_key": stack.SECRET_KEY, "endpoint": self.cloud.address}
        return keys | {"dataset": dataset, "scale": self.store.sizes.name, "uri": uri, "registered": registered}

    @contextmanager
    def server(self, state, dataset):
        """A server of its own: without any index when cold, else with those that were kept; with column indexes when
        indexed."""
        self.count += 1
        registry = self.folder / f"registry-{self.count}.db"
        if state != "cold":
            shutil.copy(self.kept_registry(dataset), registry)
        with self.serve(registry, self.column_indexes() if state == "indexed" else {}) as server:
            yield server
        for left in self.folder.glob(f"{registry.name}*"):
            left.unlink()

    def serve(self, registry, more=None):
        """Starts a server on a registry; `more` are variables for it."""
        environment = self.cloud.environment() | self.settings | (more or {})
        return stack.Server.start(registry, environment, self.log, "--storage", f"s3://{BUCKET}")

    def register(self, dataset):
        """Registers a data set by its key in the registry that is kept."""
        words = ["register", f"s3://{BUCKET}/{KEYS[dataset]}", "--key", KEYS[dataset]]
        registry = self.kept_registry(dataset)
        stack.command([*words, "--registry", registry], self.cloud.environment() | self.settings)

    def build_column_index(self, dataset):
        """Builds the column index of X, for servers that are indexed."""
        words = ["index", KEYS[dataset], "--registry", self.kept_registry(dataset)]
        environment = self.cloud.environment() | self.settings | self.column_indexes()
        stack.command(words, environment, timeout=INDEX_SECONDS)

    def column_indexes(self):
        """Where column indexes lie, as variables for a server."""
        return {"SLICEFLIGHT_COLUMN_INDEX_FOLDER": str(self.folder / "column-indexes")}

    def kept_registry(self, dataset):
        """Where the registry lies whose indexes an earlier run of the tasks left."""
        return self.folder / f"kept-{dataset}.db"
