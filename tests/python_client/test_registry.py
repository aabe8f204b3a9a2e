"""Finding, registering and labelling artifacts and collections; what each kind of artifact opens as."""

import datetime

import anndata
import numpy
import pandas
import pytest

import sliceflight as sf
import stack
import zoo
from expect import read_anndata

from .same import same, same_anndata

PBMC = "lndb-storage/pbmc68k.h5ad"


@pytest.fixture(scope="module")
def open_ln(every_file):
    """A session on a server that lets clients change the registry."""
    every_file.register("labelled.parquet", "--label", "setosa", source=stack.NOTEBOOK / stack.shard_key(3))
    every_file.register("odd_label.h5", "--label", "CD14+ Monocytes", source=stack.NOTEBOOK / "testfile.hdf5")
    every_file.put("notes.txt", b"some notes")
    every_file.register("notes.txt", check=False)
    with sf.connect(every_file.serve("--allow-register").uri, timeout=60) as session:
        yield session


class TestArtifacts:
    """`ln.Artifact`."""

    def test_attributes(self, ln):
        artifact = ln.Artifact.get(key=PBMC)
        path = stack.NOTEBOOK / "pbmc68k.h5ad"
        assert (artifact.key, artifact.suffix, artifact.kind) == (PBMC, ".h5ad", "h5ad")
        assert (artifact.size, artifact.n_observations, artifact.n_files) == (path.stat().st_size, 70, None)
        assert (artifact.url, artifact.is_latest, artifact.labels) == (f"s3://{stack.BUCKET}/{PBMC}", True, [])
        assert len(artifact.uid) == 20
        assert artifact.created_at.tzinfo is not None
        age = datetime.datetime.now(datetime.UTC) - artifact.created_at
        assert datetime.timedelta() <= age < datetime.timedelta(hours=1)
        assert repr(artifact).startswith(f"Artifact(uid='{artifact.uid}', key='{PBMC}', suffix='.h5ad', size=")

    def test_get(self, ln):
        artifact = ln.Artifact.get(key=PBMC)
        for found in (ln.Artifact.get(artifact.uid), ln.Artifact.get(artifact.uid[:16])):
            assert found == artifact and hash(found) == hash(artifact)
        assert ln.Artifact.get(key=PBMC, version=0) == artifact
        assert ln.Artifact.get(suffix=".hdf5").key == "lndb-storage/testfile.hdf5"
        for wrong in ({"key": "nope"}, {"uid": "nope"}, {"suffix": ".nope"}, {"key": "sharded_parquet_collection"}):
            with pytest.raises(sf.errors.NotFound):
                ln.Artifact.get(**wrong)
        with pytest.raises(sf.errors.MultipleResults, match="2 artifact"):
            ln.Artifact.get(suffix=".parquet")
        with pytest.raises(ValueError, match="uid"):
            ln.Artifact.get()
        with pytest.raises(ValueError):
            ln.Artifact.get("a", key="b")

    def test_filter(self, ln):
        shards = ln.Artifact.filter(suffix=".parquet")
        assert [artifact.key for artifact in shards] == [stack.shard_key(0), stack.shard_key(1)]
        assert (len(shards), shards.count(), shards.exists(), bool(shards)) == (2, 2, True, True)
        assert shards.first() == shards[0] == shards.all()[0] and shards[1:] == [shards[1]]
        assert shards.filter(key=stack.shard_key(1)).one().key == stack.shard_key(1)
        assert ln.Artifact.filter(key__startswith="lndb-storage/").count() == 2
        assert ln.Artifact.filter(key="lndb-storage/").count() == 0, "a key is exact"
        nothing = ln.Artifact.filter(suffix=".nope")
        assert (nothing.first(), nothing.one_or_none(), nothing.all(), bool(nothing)) == (None, None, [], False)
        with pytest.raises(sf.errors.NotFound, match="nope"):
            nothing.one()
        with pytest.raises(sf.errors.MultipleResults):
            shards.one()
        with pytest.raises(sf.errors.InvalidArgument, match="twice"):
            shards.filter(suffix=".h5ad")

    def test_a_criterion_that_the_server_does_not_know(self, ln):
        with pytest.raises(sf.errors.InvalidArgument, match="colour"):
            ln.Artifact.filter(colour="red").all()

    def test_search(self, ln):
        assert [artifact.key for artifact in ln.Artifact.search("pbmc")] == [PBMC]
        assert ln.Artifact.filter(suffix=".hdf5").search("pbmc").all() == []

    def test_data_frame(self, ln):
        for frame in (ln.Artifact.filter(suffix=".parquet").df(), ln.Artifact.filter(suffix=".parquet").to_dataframe()):
            assert list(frame.key) == [stack.shard_key(0), stack.shard_key(1)]
            assert frame.index.name == "uid" and set(frame.columns) >= {"suffix", "size", "created_at", "labels"}
        assert len(ln.Artifact.df()) == len(ln.Artifact.all())
        assert len(ln.Artifact.filter(suffix=".nope").df()) == 0

    def test_lookup(self, ln):
        lookup = ln.Artifact.lookup()
        assert lookup.lndb_storage_pbmc68k_h5ad == lookup[PBMC] == ln.Artifact.get(key=PBMC)
        assert "sharded_parquet" in dir(lookup)
        with pytest.raises(AttributeError, match="nope"):
            lookup.nope  # noqa: B018

    def test_describe(self, ln, capsys):
        ln.Artifact.get(key=PBMC).describe()
        shown = capsys.readouterr().out
        assert f"Artifact {PBMC}\n" in shown and "n_obs × n_vars = 70 × 765" in shown and "size: " in shown

    def test_path(self, ln, capsys):
        path = ln.Artifact.get(key=PBMC).path
        assert str(path) == path.as_posix() == f"s3://{stack.BUCKET}/{PBMC}" == path
        assert (path.name, path.suffix, path.parent) == ("pbmc68k.h5ad", ".h5ad", f"s3://{stack.BUCKET}/lndb-storage")
        with pytest.raises(TypeError, match="local"):
            open(path)
        ln.Artifact.get(key=stack.shard_key(1)).path.view_tree()
        name = stack.shard_key(1).rpartition("/")[2]
        title = "0 sub-directories & 1 files with suffixes '.parquet'"
        assert capsys.readouterr().out == f"{title}\ns3://{stack.BUCKET}/{stack.shard_key(1)}\n└── {name}\n"

    def test_view_tree(self, ln, capsys):
        path = ln.Artifact.get(key="sharded_parquet").path
        path.view_tree()
        lines = capsys.readouterr().out.splitlines()
        assert lines[:4] == [
            "11 sub-directories & 11 files with suffixes '.parquet'",
            f"s3://{stack.BUCKET}/sharded_parquet",
            "├── louvain=0/",
            f"│   └── {stack.shard_key(0).rpartition('/')[2]}",
        ]
        assert lines[-2:] == ["└── louvain=9/", f"    └── {stack.shard_key(9).rpartition('/')[2]}"]
        assert len(lines) == 24
        assert len(path.tree_text(level=1).splitlines()) == 13
        assert path.tree_text(n_max_files=3).splitlines()[-1] == "... only showing 3 lines"


class TestChanges:
    """Registering and labelling, with a server that allows it."""

    def test_the_notebooks_lines(self, open_ln, every_file):
        ln = open_ln
        every_file.put("mine/a.parquet", stack.NOTEBOOK / stack.shard_key(4))
        every_file.put("mine/b.parquet", stack.NOTEBOOK / stack.shard_key(5))
        first = ln.Artifact(f"s3://{stack.BUCKET}/mine/a.parquet").save()
        second = ln.Artifact(f"s3://{stack.BUCKET}/mine/b.parquet", key="mine/second", description="the second").save()
        assert second.key == "mine/second" and second.description == "the second"
        assert ln.Artifact.get(key="mine/second") == second == second.save()
        collection = ln.Collection([first, second], key="mine/both", description="both").save()
        found = ln.Collection.get(key="mine/both")
        assert found == collection and found.artifacts == [first, second] and found.description == "both"
        assert found.open().count_rows() == first.n_observations + second.n_observations
        collection.delete()
        second.delete(permanent=True)
        with pytest.raises(KeyError):
            ln.Collection.get(key="mine/both")
        with pytest.raises(KeyError):
            ln.Artifact.get(key="mine/second")

    def test_register_and_new_versions(self, open_ln, every_file):
        ln, url = open_ln, f"s3://{stack.BUCKET}/changing.parquet"
        every_file.put("changing.parquet", stack.NOTEBOOK / stack.shard_key(4))
        old = ln.Artifact.register(url, key="changing", labels=["fresh", sf.ULabel("new")], description="one")
        assert (old.version, old.labels, old.description) == (0, ["fresh", "new"], "one")
        every_file.put("changing.parquet", stack.NOTEBOOK / stack.shard_key(5))
        with pytest.raises(sf.errors.FailedPrecondition, match="changed"):
            ln.Artifact.get(key="changing").load()
        new = ln.Artifact.get(key="changing").register()
        assert new.version == 1 and new.uid[:16] == old.uid[:16] and new.is_latest
        assert ln.Artifact.get(key="changing") == new == ln.Artifact.get(new.uid)
        assert ln.Artifact.get(old.uid[:16]) == new, "the beginning that all versions share is the latest"
        with pytest.raises(sf.errors.FailedPrecondition, match="changed"):
            ln.Artifact.get(key="changing", version=0)
        assert (
            ln.Artifact.get(key="changing")
            .load()
            .equals(pandas.read_parquet(stack.NOTEBOOK / stack.shard_key(5), partitioning=None))
        )

    def test_labels(self, open_ln):
        ln = open_ln
        ulabels = ln.ULabel.lookup()
        df = ln.Artifact.filter(ulabels=ulabels.setosa, suffix=".parquet").first().load()
        assert df.equals(pandas.read_parquet(stack.NOTEBOOK / stack.shard_key(3), partitioning=None))
        assert ulabels.setosa.name == str(ulabels.setosa) == "setosa"
        assert ulabels.cd14_monocytes == ulabels["CD14+ Monocytes"] == ln.ULabel.get("CD14+ Monocytes")
        assert ln.ULabel.search("SET") == [sf.ULabel("setosa")]
        with pytest.raises(KeyError):
            ln.ULabel.get("nope")
        artifact = ln.Artifact.get(key="labelled.parquet")
        assert artifact.labels == ["setosa"] and artifact.ulabels.all() == [ulabels.setosa]
        artifact.ulabels.add(ln.ULabel("checked"))
        assert ln.Artifact.filter(ulabels="checked").one() == artifact
        assert artifact.labels == ["checked", "setosa"] or artifact.labels == ["setosa", "checked"]

    def test_trash_and_unlabel(self, open_ln, every_file):
        ln = open_ln
        every_file.put("binned.parquet", stack.NOTEBOOK / stack.shard_key(6))
        artifact = ln.Artifact.register(f"s3://{stack.BUCKET}/binned.parquet", key="binned", labels=["a", "b"])
        artifact.ulabels.remove("a")
        assert ln.Artifact.get(key="binned").labels == ["b"]
        artifact.delete()
        assert ln.Artifact.filter(key="binned").all() == []
        assert ln.Artifact.filter(trashed=True).one() == artifact
        artifact.restore()
        assert ln.Artifact.get(key="binned") == artifact
        assert ln.Artifact.filter(key__glob="bin*").one() == artifact

    def test_a_server_that_does_not_allow_it(self, ln):
        artifact = ln.Artifact.get(key=PBMC)
        for change in (artifact.register, lambda: artifact.delete(permanent=True), lambda: artifact.label("a")):
            with pytest.raises(PermissionError, match="allow_register"):
                change()
        with pytest.raises(sf.errors.PermissionDenied):
            ln.Artifact(f"s3://{stack.BUCKET}/a").save()
        with pytest.raises(ValueError, match="save"):
            ln.Artifact(f"s3://{stack.BUCKET}/a").open()


class TestJoined:
    """Collections of AnnData as one, against `anndata.concat`."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def cells(cls, every_file):
        every_file.command("collection", "create", "cells", PBMC, "variants/variants.h5ad")

    @pytest.fixture
    def members(self):
        return [read_anndata(stack.NOTEBOOK / name) for name in ("pbmc68k.h5ad", "variants.h5ad")]

    @pytest.mark.parametrize("join", ["inner", "outer"])
    def test_matrices_names_and_obs(self, ln_all, members, join):
        collection = ln_all.Collection.get(key="cells")
        uids = [artifact.uid for artifact in collection.artifacts]
        expected = anndata.concat(members, join=join, label="artifact_uid", keys=uids)
        found = collection.open(join=join)
        assert found.shape == expected.shape
        assert list(found.obs_names) == list(expected.obs_names) and list(found.var_names) == list(expected.var_names)
        same(
            found.X.to_memory().toarray(),
            numpy.asarray(expected.X if isinstance(expected.X, numpy.ndarray) else expected.X.toarray()),
        )
        assert list(found.obs.columns) == list(expected.obs.columns)
        assert found.obs.cell_type.tolist() == expected.obs.cell_type.tolist()
        assert sorted(found.obsm) == sorted(expected.obsm) and sorted(found.layers) == sorted(expected.layers)
        for name in expected.obsm:
            same(found.obsm[name][...], expected.obsm[name])
        subset = found[[100, 3, -1], expected.var_names[[5, 2]]]
        assert subset.obs_names.tolist() == expected.obs_names[[100, 3, -1]].tolist()
        numpy.testing.assert_array_equal(subset.X.toarray(), dense(expected[[100, 3, -1], [5, 2]].X))
        assert subset.to_memory().shape == (3, 2)
        chosen = found[found.col("artifact_uid") == uids[1], :3]
        assert chosen.n_obs == 200

    def test_load(self, ln_all, members):
        collection = ln_all.Collection.get(key="cells")
        uids = [artifact.uid for artifact in collection.artifacts]
        for join in ("inner", "outer"):
            expected = anndata.concat(members, join=join, label="artifact_uid", keys=uids)
            same_anndata(collection.load(join=join), expected)


def dense(matrix):
    return matrix.toarray() if hasattr(matrix, "toarray") else numpy.asarray(matrix)


class TestKinds:
    """What else artifacts open as."""

    def test_every_kind_of_element(self, notebook, tmp_path_factory):
        path = tmp_path_factory.mktemp("columns") / "columns.h5ad"
        zoo.anndata_columns().write_h5ad(path)
        notebook.register("columns.h5ad", source=path)
        expected = anndata.read_h5ad(path)
        with sf.connect(notebook.serve().uri, timeout=60) as ln:
            adata = ln.Artifact.get(key="columns.h5ad").open()
            same_anndata(adata.to_memory(), expected)
            same_anndata(adata[[5, 2, 2]].to_memory(), expected[[5, 2, 2]].copy())
            odd = 'späte Spalte, with "signs"'
            same_anndata(adata[adata.col(odd) > 20].to_memory(), expected[expected.obs[odd] > 20].copy())

    @pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
    def test_old_anndata(self, ln_all):
        adata = ln_all.Artifact.get(key="legacy/10x_pbmc68k_reduced.h5ad").open()
        expected = anndata.read_h5ad(stack.FIXTURES / "legacy" / "10x_pbmc68k_reduced.h5ad")
        subset, memory = adata[[500, 3], ["HES4", "TNFRSF4"]], expected[[500, 3], ["HES4", "TNFRSF4"]]
        same(subset.X, memory.X)
        pandas.testing.assert_frame_equal(adata.obs, expected.obs, check_dtype=False)
        assert set(adata.uns) >= set(expected.uns), "the lists of categories in uns stay there, as they are stored"

    def test_an_hdf5_file(self, ln, capsys):
        backed = ln.Artifact.get(key="lndb-storage/testfile.hdf5").open()
        assert list(backed) == ["mydataset"] and len(backed) == 1
        assert repr(backed.storage) == '<HDF5 file "testfile.hdf5" (mode r)>'
        assert "storage=<HDF5 file" in repr(backed) and "connection=" in repr(backed)
        assert backed.storage["mydataset"][2:5].tolist() == [2, 3, 4]
        backed.view_tree()
        assert capsys.readouterr().out == "testfile.hdf5\n└── mydataset (10,) int64\n"
        same(ln.Artifact.get(key="lndb-storage/testfile.hdf5").load(), {"mydataset": numpy.arange(10)})

    def test_the_record_of_what_cannot_be_read(self, open_ln):
        found = open_ln.Artifact.filter(key="notes.txt").one_or_none()
        assert found is not None
        assert open_ln.Artifact.get(key="notes.txt") == found == open_ln.Artifact.get(found.uid)
        with pytest.raises(sf.SliceflightError):
            found.open()
        assert "cannot be opened" in found.description_text()
