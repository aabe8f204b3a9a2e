"""Stores that cannot be listed: read where paths are known, refused by name where they are not.

Each test has its stores under a prefix of its own, for which the cloud refuses to list. Where it answers as S3
does for a caller without that permission, what does not exist is refused as well.
"""

import anndata
import numpy
import pyarrow
import pyarrow.flight as flight
import pytest
import zarr

import decode
import stack
import zoo
from expect import read_anndata, same_array, same_frame
from wire import Client

# How a store refuses to list: S3 without the permission, and stores that have no listing.
REFUSALS = {
    "s3": {"kind": "unlisted"},
    "denied": {"kind": "status", "status": 403, "methods": ["LIST"]},
    "no_method": {"kind": "status", "status": 405, "methods": ["LIST"]},
    "not_implemented": {"kind": "status", "status": 501, "methods": ["LIST"]},
    "nothing_there": {"kind": "status", "status": 404, "methods": ["LIST"]},
}
RETRIES = '[retry]\nattempts = 2\ninitial_backoff = "10ms"\n'
MISSING = '\n[[storage]]\nroot = "s3://{bucket}/{prefix}"\noptions = {{ missing = "403" }}\n'


def refuse(site, key, how="s3"):
    site.cloud.fault(match=key, **REFUSALS[how])


@pytest.fixture(autouse=True)
def no_faults(site):
    yield
    site.cloud.clear_faults()


def listings(site):
    return [entry for entry in site.cloud.log_entries() if entry["method"] == "LIST"]


def settings(prefix):
    """The operator says that what the store refuses is missing."""
    return RETRIES + MISSING.format(bucket=stack.BUCKET, prefix=prefix)


def told(how, prefix):
    """The settings with which a store is read whole: zarr writes no chunk that has only fill values."""
    return settings(prefix) if how == "s3" else None


def write(path, version, consolidated):
    """An AnnData of every kind of column as a zarr store; gives what anndata reads of it."""
    anndata.settings.zarr_write_format = version
    data = zoo.anndata_columns()
    data.write_zarr(path)
    if not consolidated:
        for file in path.rglob(".zmetadata"):
            file.unlink()
        root = zarr.open_group(path, mode="r+", zarr_format=version, use_consolidated=False)
        if version == 3:
            document = (path / "zarr.json").read_text()
            plain = type(root.metadata)(attributes=dict(root.attrs), zarr_format=3)
            assert "consolidated" not in document or write_plain(path, plain)
    return read_anndata(path)


def write_plain(path, metadata):
    """The root of version 3 without consolidated metadata."""
    (content,) = metadata.to_buffer_dict(zarr.core.buffer.default_buffer_prototype()).values()
    (path / "zarr.json").write_bytes(content.to_bytes())
    return True


def same_elements(client, key, whole, elements=("X", "layers", "obsm")):
    same_frame(client.get((key, "obs")), whole.obs)
    same_frame(client.get((key, "var")), whole.var)
    same_array(decode.array(client.get((key, "X"))), whole.X)
    for group in ("layers", "obsm", "varm", "obsp"):
        for name, value in getattr(whole, group).items():
            if not hasattr(value, "columns"):
                same_array(decode.array(client.get((key, f"{group}/{name}"))), value)


@pytest.mark.parametrize(("version", "how"), [(2, "s3"), *((3, how) for how in REFUSALS)])
class TestConsolidated:
    """Consolidated metadata tells every node: nothing is ever listed."""

    def test_everything(self, site, version, how):
        key = f"consolidated_{version}_{how}/data.zarr"
        path = site.folder / f"consolidated_{version}_{how}.zarr"
        whole = write(path, version, consolidated=True)
        site.put(key, path)
        refuse(site, key, how)
        site.register(key)
        client = Client(site.serve(settings=told(how, f"consolidated_{version}_{how}")).uri)
        found = client.action("describe", {"key": key})
        assert found["shape"] == list(whole.shape) and "incomplete" not in found
        assert found["attributes"]["layers"] == sorted(whole.layers)
        assert found["artifact"]["n_observations"] == whole.n_obs
        site.cloud.reset()
        same_elements(client, key, whole)
        rows = (whole.obs["float"] < 0).to_numpy()
        same_array(decode.array(client.get({"key": key, "node": "X", "obs": {"where": "float < 0"}})), whole.X[rows])
        assert not listings(site)


@pytest.fixture(scope="module")
def written(site):
    """What was written and registered so far, by version and refusal, with a client of each."""
    return {}


@pytest.mark.parametrize("how", ["s3", "denied"])
@pytest.mark.parametrize("version", [2, 3])
class TestByName:
    """Without consolidated metadata, nodes are found by their paths and by what attributes name."""

    def opened(self, site, written, version, how):
        key = f"named_{version}_{how}/data.zarr"
        refuse(site, key, how)
        if key not in written:
            path = site.folder / f"named_{version}_{how}.zarr"
            whole = write(path, version, consolidated=False)
            site.put(key, path)
            site.register(key)
            written[key] = whole, Client(site.serve().uri)
        return key, *written[key]

    def test_everything_that_has_a_path(self, site, written, version, how):
        key, whole, client = self.opened(site, written, version, how)
        if how == "s3":
            client = Client(site.serve(settings=settings(f"named_{version}_{how}")).uri)
        site.cloud.reset()
        same_elements(client, key, whole)
        rows = (whole.obs["float"] < 0).to_numpy()
        request = {"key": key, "node": "X", "obs": {"where": "float < 0"}, "var": {"names": [whole.var_names[1]]}}
        same_array(decode.array(client.get(request)), whole.X[rows][:, [1]])
        assert not listings(site)

    def test_what_is_not_known_is_said(self, site, written, version, how):
        key, whole, client = self.opened(site, written, version, how)
        tree = client.action("tree", {"key": key})
        assert "cannot be listed" in tree["incomplete"]
        assert {"obs", "obs/float", "var", "X", "layers"} <= {node["path"] for node in tree["nodes"]}
        found = client.action("describe", {"key": key})
        assert found["shape"] == list(whole.shape) and "cannot be listed" in found["incomplete"]
        assert found["attributes"]["layers"] is None
        assert found["artifact"]["n_observations"] == whole.n_obs
        assert sorted(found["attributes"]["obs"]) == sorted([*whole.obs.columns, whole.obs.index.name or "_index"])
        assert "cannot be listed" in site.command("tree", key).stdout
        assert "layers: cannot be listed" in site.command("inspect", key).stdout
        for node in ("layers", "uns"):
            with pytest.raises(pyarrow.ArrowNotImplementedError, match=f"'/{node}'.*cannot be listed"):
                client.get((key, node))

    def test_what_is_missing(self, site, written, version, how):
        """A store that answers 404 says so; S3 without the permission does not."""
        key, _, client = self.opened(site, written, version, how)
        expected = (flight.FlightUnauthorizedError, 'missing = "403"') if how == "s3" else (KeyError, "no node")
        for node in ("layers/none", "none", "obs/none"):
            with pytest.raises(expected[0], match=expected[1]):
                client.get((key, node))

    def test_a_collection_is_refused(self, site, written, version, how):
        """What a member lacks would be filled; here it is only not known."""
        key, _, client = self.opened(site, written, version, how)
        site.command("collection", "create", f"of_{key}", key)
        with pytest.raises(pyarrow.ArrowNotImplementedError, match="cannot be listed"):
            client.get({"collection": f"of_{key}", "node": "X"})


def holes(path, version, consolidated):
    """A group with an array of three chunks, of which the middle one was never written."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    array = group.create_group("g").create_array("a", shape=(6,), chunks=(2,), dtype="i4", fill_value=-7, compressors=None)
    array[0:2] = [1, 2]
    array[4:6] = [5, 6]
    array = group.create_array("sharded", shape=(8,), chunks=(2,), shards=(4,), dtype="i4", fill_value=-7) if version == 3 else array
    if version == 3:
        array[0:2] = [1, 2]
    if consolidated:
        zarr.consolidate_metadata(path, zarr_format=version)


@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.parametrize("version", [2, 3])
class TestMissingChunks:
    """A chunk that was never written is the fill value only where the store says that it is missing."""

    def opened(self, site, version, consolidated, how, **options):
        prefix = f"holes_{version}_{consolidated}_{how}"
        holes(site.folder / prefix, version, consolidated)
        key = f"{prefix}/data.zarr"
        site.put(key, site.folder / prefix)
        refuse(site, key, how)
        site.register(key)
        return key, Client(site.serve(**{name: value(prefix) for name, value in options.items()}).uri, seconds=100)

    def test_a_store_that_answers_404(self, site, version, consolidated):
        key, client = self.opened(site, version, consolidated, "denied")
        assert decode.array(client.get((key, "g/a"))).tolist() == [1, 2, -7, -7, 5, 6]
        if version == 3:
            assert decode.array(client.get((key, "sharded"))).tolist() == [1, 2, *[-7] * 6]

    def test_s3_is_refused_by_name(self, site, version, consolidated):
        key, client = self.opened(site, version, consolidated, "s3")
        assert decode.array(client.get({"key": key, "node": "g/a", "slice": "4:"})).tolist() == [5, 6]
        with pytest.raises(flight.FlightUnauthorizedError, match=f'{key}/g/a/.*missing = "403"'):
            client.get((key, "g/a"))

    def test_the_operator_says_what_a_refusal_means(self, site, version, consolidated):
        key, client = self.opened(site, version, consolidated, "s3", settings=settings)
        assert decode.array(client.get((key, "g/a"))).tolist() == [1, 2, -7, -7, 5, 6]
        if version == 3:
            assert decode.array(client.get((key, "sharded"))).tolist() == [1, 2, *[-7] * 6]
        with pytest.raises(KeyError, match="no node"):
            client.get((key, "g/none"))

    def test_credentials_that_expire_are_no_missing_chunk(self, site, version, consolidated):
        key, client = self.opened(site, version, consolidated, "s3", settings=settings)
        assert decode.array(client.get((key, "g/a"))).tolist() == [1, 2, -7, -7, 5, 6]
        site.cloud.clear_faults()
        site.cloud.fault("status", status=403, match=key)
        with pytest.raises(flight.FlightUnauthorizedError, match=key):
            client.get((key, "g/a"))

    def test_a_bucket_that_is_gone_is_no_missing_chunk(self, site, version, consolidated):
        key, client = self.opened(site, version, consolidated, "denied")
        assert decode.array(client.get((key, "g/a"))).tolist() == [1, 2, -7, -7, 5, 6]
        site.cloud.fault("status", status=404, match=key)
        with pytest.raises((KeyError, FileNotFoundError), match=key):
            client.get((key, "g/a"))

    def test_a_store_that_fails_is_no_missing_chunk(self, site, version, consolidated):
        key, client = self.opened(site, version, consolidated, "s3", settings=settings)
        assert decode.array(client.get((key, "g/a"))).tolist() == [1, 2, -7, -7, 5, 6]
        site.cloud.clear_faults()
        site.cloud.fault("status", status=500, match=f"{key}/g/a/", methods=["GET"])
        with pytest.raises(flight.FlightUnavailableError, match=key):
            client.get((key, "g/a"))


class TestRegistration:
    def test_a_listing_that_fails_is_no_store_without_one(self, site):
        key = "failing/data.zarr"
        holes(site.folder / "failing", 3, consolidated=True)
        site.put(key, site.folder / "failing")
        site.cloud.fault("status", status=503, match=key, methods=["LIST"])
        done = site.register(key, check=False)
        assert done.returncode != 0 and "503" in done.stderr

    def test_a_document_that_fails_is_no_missing_one(self, site):
        key = "failing/documents.zarr"
        holes(site.folder / "documents", 2, consolidated=True)
        site.put(key, site.folder / "documents")
        refuse(site, key, "denied")
        site.cloud.fault("status", status=503, match=f"{key}/.zmetadata")
        done = site.register(key, check=False)
        assert done.returncode != 0 and "503" in done.stderr

    @pytest.mark.parametrize("how", ["s3", "no_method"])
    def test_a_folder_of_parquet_is_refused_with_the_reason(self, site, how):
        key = f"parquet_{how}"
        site.put(f"{key}/part=1/one.parquet", b"PAR1")
        refuse(site, key, how)
        done = site.register(key, check=False)
        assert done.returncode != 0
        assert key in done.stderr and "cannot be listed" in done.stderr and "its own URL" in done.stderr

    @pytest.mark.parametrize("version", [2, 3])
    def test_an_array_at_the_root(self, site, version):
        values = numpy.arange(12, dtype="f4").reshape(4, 3)
        path = site.folder / f"root_{version}.zarr"
        zarr.create_array(path, data=values, chunks=(2, 3), zarr_format=version)
        key = f"root_{version}/array.zarr"
        site.put(key, path)
        refuse(site, key)
        site.register(key)
        client = Client(site.serve().uri)
        same_array(decode.array(client.get((key, ""))), values)
        assert "incomplete" not in client.action("tree", {"key": key})

    @pytest.mark.parametrize("version", [2, 3])
    def test_a_root_that_changed_is_refused(self, site, version):
        """Its version stands for the store's: another one is never read with the documents of before."""
        key = f"changed_{version}/data.zarr"
        holes(site.folder / f"changed_{version}", version, consolidated=True)
        site.put(key, site.folder / f"changed_{version}")
        refuse(site, key)
        site.register(key)
        client = Client(site.serve().uri)
        assert decode.array(client.get({"key": key, "node": "g/a", "slice": "4:"})).tolist() == [5, 6]
        name = "zarr.json" if version == 3 else ".zmetadata"
        site.put(f"{key}/{name}", (site.folder / f"changed_{version}" / name).read_bytes() + b" ")
        with pytest.raises(pyarrow.ArrowInvalid, match=f"{name} changed"):
            Client(site.serve().uri).get({"key": key, "node": "g/a", "slice": "4:"})

    def test_an_option_with_another_value_is_refused_at_the_start(self, site):
        with pytest.raises(stack.StackError, match='missing of s3://.* must be "403"'):
            site.serve(settings=settings("wrong").replace('"403"', '"404"'))


class TestRequests:
    """What finding nodes by their names costs."""

    def test_documents_are_read_once(self, site):
        key, path = "counted/data.zarr", site.folder / "counted.zarr"
        whole = write(path, 3, consolidated=False)
        site.put(key, path)
        refuse(site, key, "denied")
        site.register(key)
        client = Client(site.serve().uri)
        site.cloud.reset()
        same_array(decode.array(client.get((key, "X"))), whole.X)
        documents = [entry for entry in site.cloud.log_entries() if entry["key"].endswith("zarr.json")]
        assert 10 < len(documents) < 150
        assert len({(entry["method"], entry["key"]) for entry in documents}) == len(documents)
        site.cloud.reset()
        same_array(decode.array(client.get({"key": key, "node": "X", "obs": {"slice": {"stop": 2}}})), whole.X[:2])
        documents = [entry for entry in site.cloud.log_entries() if entry["key"].endswith("zarr.json")]
        assert documents == []
