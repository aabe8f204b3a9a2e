"""The folder of generated data: written once for a seed, a version and a scale, and then used again.

    Store(folder, SCALES["full"]).ensure(["gzip", "table"])

Each data set is written under another name and moved into place, then noted in `manifest.json`; what another version
or seed wrote is made anew.
"""

import json
import shutil
import time
from importlib.metadata import version
from pathlib import Path

from data import cells, grid, h5ad, tables, zarr_store
from data.keys import BUCKET, KEYS
from data.sizes import SEED, VERSION

FREE = 25 << 30
WRITERS = ("anndata", "h5py", "zarr", "pyarrow", "numpy")


class Store:
    """The data of one scale, in `<folder>/<scale>/buckets/bench`."""

    def __init__(self, folder, sizes):
        self.sizes = sizes
        self.folder = Path(folder) / sizes.name
        self.buckets = self.folder / "buckets"
        self.bucket = self.buckets / BUCKET
        self.manifest = self.folder / "manifest.json"
        self._cells = None

    def path(self, name):
        """Where a data set lies."""
        return self.bucket / KEYS[name]

    def read_manifest(self):
        """What was written so far; empty when it was for another seed or version."""
        expected = {"seed": SEED, "version": VERSION, "scale": self.sizes.name}
        try:
            found = json.loads(self.manifest.read_text())
        except (OSError, ValueError):
            found = {}
        if {name: found.get(name) for name in expected} != expected:
            return expected | {"data": {}}
        return found

    def ensure(self, names, report=print):
        """Writes those of the data sets that are not there."""
        self.bucket.mkdir(parents=True, exist_ok=True)
        manifest = self.read_manifest()
        for name in names:
            if name in manifest["data"] and self.path(name).exists():
                continue
            self.check_space()
            began = time.monotonic()
            self.write(name)
            manifest["data"][name] = self.described(name)
            manifest["writers"] = {package: version(package) for package in WRITERS}
            self.manifest.write_text(json.dumps(manifest, indent=1))
            report(f"wrote {name}: {manifest['data'][name]['bytes'] / 1e6:.1f} MB in {time.monotonic() - began:.0f} s")
        self._cells = None
        return manifest

    def check_space(self):
        """Refuses to fill the disk."""
        needed = FREE if self.sizes.name == "full" else FREE // 20
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise SystemExit(
                f"only {free >> 30} GiB are free on the disk of {self.folder}, {needed >> 30} GiB are to be left"
            )

    def write(self, name):
        """Writes one data set anew."""
        target = self.path(name)
        fresh = self.folder / "unfinished" / target.name
        for old in (fresh, target):
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
        fresh.parent.mkdir(exist_ok=True)
        if name == "table":
            tables.write(fresh, self.sizes)
        elif name == "grid":
            grid.write(fresh, self.sizes)
        elif name.startswith("zarr"):
            zarr_store.write(fresh, self.cells(), self.sizes, int(name[-1]))
        else:
            h5ad.write(fresh, self.cells(), name, layer=name == "gzip")
        fresh.rename(target)

    def cells(self):
        """The cells, made once for all that is written in one call."""
        if self._cells is None:
            self._cells = cells.make(self.sizes)
        return self._cells

    def described(self, name):
        """Files and bytes of a data set."""
        path = self.path(name)
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        return {"files": len(files), "bytes": sum(file.stat().st_size for file in files)}
