"""A source that changes is never mixed with what it was: it is refused, by name, until registered anew."""

import pyarrow
import pyarrow.flight as flight
import pytest

import decode
import stack
from expect import read_anndata, same_array
from wire import Client, described

SMALL, WIDE = stack.NOTEBOOK / "pbmc68k.h5ad", stack.NOTEBOOK / "csc.h5ad"


@pytest.fixture
def client(notebook):
    """A client of a server with nothing in its cache."""
    client = Client(notebook.serve().uri)
    yield client
    client.close()


def registered(site, key, source=SMALL):
    site.register(key, source=source)
    return key


class TestReplaced:
    """The object is another one than when it was registered or when the ticket was made."""

    def test_between_info_and_get(self, notebook, client):
        key = registered(notebook, "pinning/between.h5ad")
        info = client.info((key, "X"))
        notebook.put(key, WIDE)
        with pytest.raises(pyarrow.ArrowInvalid, match="between.h5ad"):
            client.reader(info.endpoints[0].ticket).read_all()

    def test_after_registration(self, notebook, client):
        key = registered(notebook, "pinning/after.h5ad")
        notebook.put(key, WIDE)
        with pytest.raises(pyarrow.ArrowInvalid, match="after.h5ad"):
            client.direct({"key": key, "node": "X"})

    def test_same_size_and_other_content(self, notebook, client):
        """Only the ETag tells: one byte of X differs."""
        key = registered(notebook, "pinning/byte.h5ad")
        info = client.info((key, "X"))
        content = bytearray(SMALL.read_bytes())
        content[len(content) // 2] ^= 1
        notebook.put(key, bytes(content))
        with pytest.raises(pyarrow.ArrowInvalid, match="byte.h5ad"):
            client.reader(info.endpoints[0].ticket).read_all()

    def test_ticket_of_a_version_that_was_overwritten(self, notebook, client):
        """Registered anew after the ticket was made: the old ticket is refused, a new one is served."""
        key = registered(notebook, "pinning/version.h5ad")
        ticket = client.info((key, "X")).endpoints[0].ticket
        registered(notebook, key, WIDE)
        with pytest.raises(pyarrow.ArrowInvalid, match="version.h5ad"):
            client.reader(ticket).read_all()
        same_array(decode.array(client.get((key, "X"))), read_anndata(WIDE).X)

    def test_chunk_of_a_zarr_store(self, notebook, client):
        key = "pinning/store.zarr"
        notebook.register(key, source=stack.NOTEBOOK / "variants_v2.zarr")
        ticket = client.info((key, "obsm/X_umap")).endpoints[0].ticket
        (chunk,) = (notebook.bucket / key / "obsm/X_umap").glob("0*")
        notebook.put(f"{key}/obsm/X_umap/{chunk.name}", chunk.read_bytes()[:-1] + b"?")
        for asked in (client, Client(notebook.serve().uri)):
            with pytest.raises(pyarrow.ArrowInvalid, match=f"X_umap/{chunk.name}.*changed"):
                asked.reader(ticket).read_all()
        assert client.get((key, "obsm/X_pca")).num_rows == 200, "the other arrays are as they were"

    def test_chunk_of_a_zarr_store_that_is_gone(self, notebook, client):
        """Registered and then deleted is an error, never a fill value."""
        key = "pinning/gone.zarr"
        notebook.register(key, source=stack.NOTEBOOK / "variants_v2.zarr")
        (chunk,) = (notebook.bucket / key / "obsm/X_umap").glob("0*")
        chunk.unlink()
        with pytest.raises(KeyError, match=f"X_umap/{chunk.name}"):
            client.get((key, "obsm/X_umap"))


class TestVersions:
    """Registering again."""

    def uids(self, site, key):
        client = Client(site.serve().uri)
        return client.action("describe", {"key": key})["artifact"]["uid"]

    def test_the_same_content_changes_nothing(self, notebook):
        key = registered(notebook, "versions/same.h5ad")
        first = self.uids(notebook, key)
        notebook.register(key)
        assert self.uids(notebook, key) == first

    def test_other_content_is_a_new_version(self, notebook, client):
        key = registered(notebook, "versions/other.h5ad")
        first = self.uids(notebook, key)
        registered(notebook, key, WIDE)
        second = self.uids(notebook, key)
        assert len(first) == len(second) == 20
        assert first[:16] == second[:16] and first[16:] < second[16:]
        assert client.info((key, "X")).schema.names == ["X"]
        assert client.action("describe", {"key": key})["shape"] == [200, 765]

    def test_the_overwritten_version_is_refused_by_name(self, notebook, client):
        key = registered(notebook, "versions/old.h5ad")
        first = self.uids(notebook, key)
        registered(notebook, key, WIDE)
        with pytest.raises(pyarrow.ArrowInvalid, match="old.h5ad"):
            client.direct({"uid": first, "node": "X"})

    def test_an_ambiguous_uid_prefix_names_the_candidates(self, notebook, client):
        """Of 41 artifacts two begin with the same character, but for three chances in a million."""
        keys = [f"versions/shard-{position}.parquet" for position in range(41)]
        for key in keys:
            notebook.put(key, stack.NOTEBOOK / stack.shard_key(0))
        notebook.command("register", *(f"s3://{stack.BUCKET}/{key}" for key in keys))
        infos = client.listed(key_prefix="versions/shard-")
        uids = [described(info)["uid"] for info in infos]
        assert len(uids) == 41
        same = next([uid, other] for uid in uids for other in uids if uid[0] == other[0] and uid[:16] != other[:16])
        with pytest.raises((pyarrow.ArrowInvalid, KeyError)) as caught:
            client.info({"uid": same[0][0]})
        assert any(uid in str(caught.value) for uid in same)

    def test_a_uid_prefix(self, notebook, client):
        key = registered(notebook, "versions/prefix.h5ad")
        uid = self.uids(notebook, key)
        same_array(decode.array(client.get({"uid": uid[:10], "node": "X"})), read_anndata(SMALL).X)
        same_array(decode.array(client.get({"key": key, "version": uid[16:], "node": "X"})), read_anndata(SMALL).X)
