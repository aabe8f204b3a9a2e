"""Where the database of a LaminDB instance may lie, and what is not touched of it."""

import gzip

import numpy
import pyarrow
import pytest

import decode
import lamin
from expect import same_array, same_frame
from lamindb_served import fresh, keys, serve  # noqa: F401  fixtures


class TestPlaces:
    """Databases in other forms and places."""

    def test_a_packed_file_of_its_own(self, site, fresh):
        packed = fresh.database.with_name("lamin.db.gz")
        packed.write_bytes(gzip.compress(fresh.database.read_bytes()))
        fresh.database.unlink()
        for url in (fresh.root, packed):
            for client in serve(site, fresh.settings(url=url)):
                assert "testfile.hdf5" in keys(client)

    def test_the_limit_holds_for_what_is_unpacked(self, site, fresh):
        fresh.database.with_name("lamin.db.gz").write_bytes(gzip.compress(b"\0" * (64 << 20)))
        fresh.database.unlink()
        path = fresh.root.parent / "settings.toml"
        path.write_text(fresh.settings(database_bytes="1 MiB"))
        done = site.command("serve", "--listen", "127.0.0.1:0", "--config", path, check=False)
        assert done.returncode == 1
        assert "limit of 1048576 bytes" in done.stderr

    def test_side_by_side_with_names(self, notebook, tmp_path):
        instances = {name: lamin.Instance.lay_out(tmp_path / name, name) for name in lamin.GENERATIONS}
        settings = "".join(instance.settings(name=name) for name, instance in instances.items())
        for client in serve(notebook, settings):
            found = keys(client)
            assert {"v1.3/pbmc68k.h5ad", "v2.12/pbmc68k.h5ad", "lndb-storage/pbmc68k.h5ad", "sharded_parquet"} <= set(found)
            same_frame(client.get(("v1.3/pbmc68k.h5ad", "obs")), client.get(("lndb-storage/pbmc68k.h5ad", "obs")).to_pandas())
            assert client.get({"collection": "v1.3/sharded_parquet_collection"}).num_rows == 20
            assert client.action("describe", {"uid": "Cm2C"})["artifact"]["key"] == "v2.12/pbmc68k.h5ad"
            assert keys(client, key="v*/pbmc68k.h5ad") == ["v1.3/pbmc68k.h5ad", "v2.12/pbmc68k.h5ad"]
            with pytest.raises(pyarrow.ArrowKeyError, match=r"near matches: v1.3/testfile.hdf5"):
                client.action("describe", {"key": "v1.3/testfile.hdf"})

    def test_two_without_names_are_refused(self, site, fresh):
        done = site.command("serve", "--listen", "127.0.0.1:0", "--lamindb", fresh.root, "--lamindb", fresh.root, check=False)
        assert done.returncode == 1
        assert "needs a name of its own" in done.stderr

    def test_flag(self, site, fresh):
        fresh.execute("UPDATE lamindb_storage SET root = ?", str(fresh.root))
        for client in serve(site, None, "--lamindb", f"lab={fresh.root}"):
            same_array(decode.array(client.get(("lab/testfile.hdf5", "mydataset"))), numpy.arange(10))

    def test_nothing_of_an_instance_is_changed(self, site, fresh):
        fresh.execute("UPDATE lamindb_storage SET root = ?", str(fresh.root))
        before = fresh.database.read_bytes()
        for client in serve(site, None, "--allow-register", "--lamindb", str(fresh.root)):
            for action, body in [
                ("remove", {"key": "testfile.hdf5"}),
                ("label", {"key": "testfile.hdf5", "labels": ["mine"]}),
                ("update", {"key": "testfile.hdf5", "description": "mine"}),
                ("trash", {"key": "testfile.hdf5"}),
            ]:
                with pytest.raises(pyarrow.ArrowException):
                    client.action(action, body)
        assert fresh.database.read_bytes() == before
        assert sorted(path.name for path in fresh.database.parent.glob("lamin.db*")) == ["lamin.db"]
