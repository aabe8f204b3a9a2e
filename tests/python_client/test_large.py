"""Answers of many messages and endpoints, dask over lazy arrays, and what is read of the store."""

import anndata
import numpy
import pandas
import pyarrow
import pytest
import scipy.sparse

import sliceflight as sf
import stack
from sliceflight import convert
from sliceflight.stream import Stream

from .same import same, same_anndata

SMALL = '[limits]\nmessage_bytes = "16 KiB"\nendpoint_bytes = "1 MiB"\n'
KEYS = ["legacy/10x_pbmc68k_reduced.h5ad", "variants/variants.h5ad", "variants/variants_v3.zarr", "large.h5ad"]


@pytest.fixture(scope="module")
def large(every_file, tmp_path_factory):
    """A session on a server that cuts its answers small, and the files in memory."""
    generator = numpy.random.default_rng(11)
    names = [f"a long name of a category number {number}" for number in range(3000)]
    obs = pandas.DataFrame(
        {"many": pandas.Categorical(generator.choice(names, 30000), categories=names[::-1])},
        index=[f"cell{number}" for number in range(30000)],
    )
    x = scipy.sparse.random(30000, 60, density=0.2, format="csr", dtype="float32", rng=generator)
    path = tmp_path_factory.mktemp("large") / "large.h5ad"
    anndata.AnnData(x, obs, obsm={"dense": generator.random((30000, 20))}, layers={"csc": x.tocsc()}).write_h5ad(path)
    every_file.register("large.h5ad", source=path)
    paths = {"large.h5ad": path, "legacy": stack.FIXTURES / KEYS[0]}
    with sf.connect(every_file.serve(settings=SMALL).uri, timeout=90, parallel=3) as session:
        yield session, anndata.read_h5ad(paths["large.h5ad"])


def test_many_endpoints_and_dictionaries(large):
    ln, expected = large
    adata = ln.Artifact.get(key="large.h5ad").open()
    stream = Stream(ln.connection, {"key": "large.h5ad", "node": "obsm/dense"})
    assert len(stream.info.endpoints) > 3 and len(list(stream.batches())) > 10
    same_anndata(adata.to_memory(), expected)
    index = numpy.random.default_rng(3).permutation(30000)[:5000], slice(None, None, -3)
    same_anndata(adata[index].to_memory(), expected[index[0]].copy()[:, index[1]].copy())
    same(adata.obsm["dense"][::-2], expected.obsm["dense"][::-2])
    pandas.testing.assert_frame_equal(
        adata[adata.col("many") == expected.obs.many.iloc[7]].obs,
        expected.obs[expected.obs.many == expected.obs.many.iloc[7]],
    )


def test_a_wrong_number_of_rows():
    column = pyarrow.array(numpy.arange(4.0))
    batches = pyarrow.table({"x": column}).to_batches() * 3
    schema = batches[0].schema
    assert convert.filled(schema, 12, iter(batches)).tolist() == [0, 1, 2, 3] * 3
    for rows in (11, 13):
        with pytest.raises(sf.errors.DataLoss, match=str(rows)):
            convert.filled(schema, rows, iter(batches))
    assert convert.filled(schema, 4, iter(batches[:1])).tolist() == [0, 1, 2, 3]
    assert convert.filled(schema, 0, iter(())).shape == (0,)


def test_dask_reads_by_chunks(large):
    array = pytest.importorskip("dask.array")
    ln, expected = large
    lazy = array.from_array(ln.Artifact.get(key="large.h5ad").open().obsm["dense"], chunks=(8000, 20))
    assert lazy.shape == (30000, 20)
    assert lazy[100:4100, 2].sum().compute() == pytest.approx(expected.obsm["dense"][100:4100, 2].sum())
    numpy.testing.assert_array_equal(lazy[::-1].compute(), expected.obsm["dense"][::-1])


def test_opening_reads_no_elements(every_file):
    """What an accessor shows comes from metadata; a filter on the server reads its column only."""
    every_file.cloud.reset()
    with sf.connect(every_file.serve().uri, timeout=60) as ln:
        adata = ln.Artifact.get(key=KEYS[0]).open()
        repr(adata), repr(adata.X), adata.shape, adata.obsm.keys(), adata[:100, ::2].shape
        opened = every_file.cloud.stats()["bytes_sent"]
        adata[adata.col("percent_mito") > 0.04].shape  # noqa: B018
        filtered = every_file.cloud.stats()["bytes_sent"]
        adata.X[:]
        whole = every_file.cloud.stats()["bytes_sent"]
    assert whole - filtered > 1_000_000, "X was read when it was indexed, and not before"
    assert opened < 100_000 and filtered - opened < 200_000, (opened, filtered, whole)
