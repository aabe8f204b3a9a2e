"""A LaminDB instance in a folder, offline, in which the generated data is registered where it lies in the cloud.

    python lamindb_instance.py FOLDER ENDPOINT KEY…

makes it; `variables` is the environment in which a process is connected to it.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from data.keys import BUCKET


def variables(folder):
    """The environment of a process that is connected to the instance in `folder`."""
    settings = Path(folder) / "lamin-settings"
    settings.mkdir(exist_ok=True)
    return {"LAMIN_SETTINGS_DIR": str(settings)}


def prepare(folder, cloud, keys):
    """Makes the instance in a process of its own; raises with its messages when that fails."""
    command = [sys.executable, str(Path(__file__).resolve()), str(folder), cloud.address, *keys]
    environment = cloud.environment() | variables(folder)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"no LaminDB instance: {done.stderr[-2000:]}")


def main():
    folder, endpoint, *keys = sys.argv[1:]
    import lamindb_setup

    storage = Path(folder) / "lamin-storage"
    lamindb_setup.init(storage=str(storage), name="bench")
    import lamindb as ln

    ln.setup.settings.instance._is_on_hub = False
    for key in keys:
        ln.Artifact(f"s3://{BUCKET}/{key}?endpoint_url={endpoint}").save()
    name_endpoint(storage / ".lamindb" / "lamin.db", endpoint)


def name_endpoint(database, endpoint):
    """Writes the endpoint into the storage's root, where LaminDB keeps those of storages that the hub knows.

    Without it LaminDB takes the bucket for one of Amazon's and asks its hub for credentials.
    """
    root = f"s3://{BUCKET}"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE lamindb_storage SET root = ? WHERE root = ?", [f"{root}?endpoint_url={endpoint}", root]
        )


if __name__ == "__main__":
    main()
