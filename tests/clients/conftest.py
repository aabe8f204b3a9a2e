"""A cloud with the test data, a registry and a server for the tests of one module.

Builds nothing: the programs are found by `tools/stack.py`. The logs of the programs are shown when a
test fails.
"""

import shutil
from pathlib import Path

import anndata
import pytest

import stack
from wire import Client

# An answer keeps all categories, those without a row too, as LaminDB's accessor does.
anndata.settings.remove_unused_categories = False

PBMC = "lndb-storage/pbmc68k.h5ad"
VARIANTS = ("variants.h5ad", "variants_v2.zarr", "variants_v3.zarr", "csc.h5ad")
LEGACY = "legacy/10x_pbmc68k_reduced.h5ad"


class Site:
    """A cloud, a registry in it, and as many servers as a test starts."""

    def __init__(self, folder, cloud):
        self.folder, self.cloud = folder, cloud
        self.registry = folder / "sliceflight.db"
        self.environment = cloud.environment()
        self.bucket = cloud.root / stack.BUCKET
        self.logs, self.running = [folder / "simcloud.log"], []

    def serve(self, *flags, environment=None, settings=None):
        """Starts one more server; `settings` is the text of its configuration file. Requests do not depend on
        how fast the machine is: the gap between merged ranges is fixed where `settings` do not name it."""
        log = self.folder / f"serve-{len(self.logs)}.log"
        log.touch()
        self.logs.append(log)
        if settings is not None:
            path = self.folder / f"settings-{len(self.logs)}.toml"
            path.write_text(settings)
            flags = ("--config", str(path), *flags)
        pinned = {} if "merge_gap" in (settings or "") else {"SLICEFLIGHT_LIMITS_MERGE_GAP": "16 KiB"}
        server = stack.Server.start(self.registry, self.environment | pinned | (environment or {}), log, *flags)
        self.running.append(server)
        return server

    def command(self, *words, **options):
        """Runs a `sliceflight` command on the registry."""
        return stack.command([*words, "--registry", self.registry], self.environment, **options)

    def register(self, key, *flags, source=None, check=True):
        """Puts `source` (a file or folder) into the bucket under `key` when given, and registers it."""
        if source is not None:
            self.put(key, source)
        return self.command("register", f"s3://{stack.BUCKET}/{key}", "--key", key, *flags, check=check)

    def put(self, key, source):
        """Copies a file or folder, or writes bytes, into the bucket under `key`, replacing what is there."""
        target = self.bucket / key
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            replace(target, source)
        elif Path(source).is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            replace(target, Path(source).read_bytes())

    def log_text(self):
        """The end of every program's log."""
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}" for log in self.logs)

    def stop(self):
        """Stops every server that still runs."""
        for server in self.running:
            server.stop()


def replace(target, content):
    """Writes a new file in place of the old one, so that no reader sees half of it."""
    fresh = target.with_name(target.name + ".new")
    fresh.write_bytes(content)
    fresh.rename(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The notebook's bucket in a cloud, nothing registered."""
    folder = tmp_path_factory.mktemp("site")
    stack.lay_out_bucket(folder / "buckets")
    with stack.Cloud.start(folder / "buckets", folder / "simcloud.log") as cloud:
        site = Site(folder, cloud)
        yield site
        site.stop()


@pytest.fixture(scope="module")
def notebook(site):
    """The site with the notebook's artifacts and collection registered."""
    stack.register_notebook(site.registry, site.environment)
    return site


@pytest.fixture(scope="module")
def every_file(notebook):
    """The site with the files of every encoding registered as well."""
    for name in VARIANTS:
        notebook.register(f"variants/{name}", source=stack.NOTEBOOK / name)
    notebook.register(LEGACY, source=stack.FIXTURES / LEGACY)
    return notebook


@pytest.fixture(scope="module")
def server(notebook):
    """A server of the notebook's registry."""
    return notebook.serve()


@pytest.fixture(scope="module")
def client(server):
    """A client of that server."""
    client = Client(server.uri)
    yield client
    client.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the programs' logs to the report of a failed test."""
    report = (yield).get_result()
    site = item.funcargs.get("site") or item.funcargs.get("notebook")
    if report.failed and isinstance(site, Site):
        report.sections.append(("logs of the programs", site.log_text()))
