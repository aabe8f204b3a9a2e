"""Tables and collections of tables against pyarrow's own dataset of the same files, and polars over them."""

import pandas
import polars
import pyarrow
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet
import pytest
import sliceflight as sf
import stack


@pytest.fixture(scope="module")
def dataset(ln):
    """The notebook's folder of shards."""
    return ln.Artifact.get(key="sharded_parquet").open()


@pytest.fixture(scope="module")
def reference():
    """The same files, read by pyarrow."""
    return pyarrow.dataset.dataset(str(stack.NOTEBOOK / "sharded_parquet"), partitioning=None)


@pytest.fixture(scope="module")
def odd(notebook, tmp_path_factory):
    """A table whose names and values hold quotes, with every kind of column; and its session."""
    path = tmp_path_factory.mktemp("odd") / "odd.parquet"
    table = pyarrow.table(
        {
            'a "quoted" name': ["it's", 'say "x"', "back\\slash", "", None, "'); DROP --", "ü", "a"],
            "it's": [1, -2, 3, None, 5, 6, 7, 8],
            "Größe": [0.5, float("nan"), -1.5, 2.0, None, 1e300, 0.1, 0.25],
            "select": [True, False, None, True, True, False, False, True],
            "date": pyarrow.array([0, 1, 2, 3, 4, None, 6, 7], pyarrow.date32()),
            "small": pyarrow.array([0.1] * 8, pyarrow.float32()),
        }
    )
    pyarrow.parquet.write_table(table, path)
    notebook.register("odd.parquet", source=path)
    with sf.connect(notebook.serve().uri, timeout=60) as session:
        yield session.Artifact.get(key="odd.parquet").open(), table


def equal(found, expected):
    """The same columns, types, values and metadata for pandas."""
    assert found.schema.names == expected.schema.names
    assert found.schema.types == expected.schema.types
    assert found.to_pylist() == expected.to_pylist()
    pandas.testing.assert_frame_equal(found.to_pandas(), expected.to_pandas())


FILTERS = [
    pc.field("cell_type").is_valid(),
    pc.field("n_genes") > 1200,
    (pc.field("n_genes") > 1200) & (pc.field("percent_mito") <= 0.02),
    pc.field("index").isin(["CGTTATACAGTACC-8", "AATCTCACTCAGTG-3"]),
    pc.starts_with(pc.field("index"), "A"),
    ~(pc.field("cell_type") == "Dendritic cells"),
    pc.scalar(True),
]


class TestDataset:
    """The methods of pyarrow's dataset."""

    def test_schema(self, dataset, reference):
        assert dataset.schema.equals(reference.schema)
        assert dataset.schema.metadata[b"pandas"] == reference.schema.metadata[b"pandas"]
        assert "4 columns" in repr(dataset)

    @pytest.mark.parametrize("rows", [0, 5, 20, 1000])
    def test_head(self, dataset, reference, rows):
        equal(dataset.head(rows), reference.head(rows))

    @pytest.mark.parametrize("columns", [None, ["n_genes"], ["percent_mito", "cell_type"], ["index", "n_genes"]])
    def test_columns(self, dataset, reference, columns):
        equal(dataset.to_table(columns=columns), reference.to_table(columns=columns))

    @pytest.mark.parametrize("number", range(len(FILTERS)))
    @pytest.mark.parametrize("columns", [None, ["percent_mito"], ["index", "cell_type"]])
    def test_filters_of_pyarrow(self, dataset, reference, number, columns):
        condition = FILTERS[number]
        equal(
            dataset.to_table(columns=columns, filter=condition), reference.to_table(columns=columns, filter=condition)
        )
        assert dataset.count_rows(filter=condition) == reference.count_rows(filter=condition)
        equal(dataset.head(3, columns=columns, filter=condition), reference.head(3, columns=columns, filter=condition))

    def test_computed_columns(self, dataset, reference):
        columns = {"double": pc.field("n_genes") * 2, "cell": pc.field("cell_type")}
        condition = pc.field("percent_mito") < 0.02
        equal(dataset.to_table(columns=columns), reference.to_table(columns=columns))
        equal(dataset.to_table(columns, condition), reference.to_table(columns, filter=condition))
        assert dataset.scanner(columns).projected_schema.equals(reference.scanner(columns).projected_schema)

    def test_a_filter_reads_only_the_columns_it_names(self, dataset):
        scanner = dataset.scanner(["percent_mito"], (pc.field("n_genes") > 1) & pc.field("cell_type").is_valid())
        assert scanner._needed() == ["cell_type", "n_genes", "percent_mito"]
        assert dataset.scanner(["index"], pc.starts_with(pc.field("index"), "A"))._needed() == ["index"]

    def test_batches_scanner_and_counts(self, dataset, reference):
        batches = list(dataset.to_batches(columns=["n_genes"]))
        assert sum(batch.num_rows for batch in batches) == dataset.count_rows() == reference.count_rows() == 70
        for condition in (None, sf.col("n_genes") > 0, pc.field("n_genes") > 0):
            sizes = [batch.num_rows for batch in dataset.to_batches(filter=condition, batch_size=6)]
            assert max(sizes) <= 6 and sum(sizes) == 70
        scanner = dataset.scanner(columns=["n_genes"], filter=pc.field("n_genes") > 1200)
        for _ in range(2):  # a scan can be run again
            assert scanner.count_rows() == scanner.to_table().num_rows == scanner.to_reader().read_all().num_rows
        assert scanner.projected_schema.names == ["n_genes"]
        assert scanner.dataset_schema.equals(reference.schema)

    @pytest.mark.parametrize("places", [[3, 1, 1, 69], [], [69], range(10, 20)])
    def test_take(self, dataset, reference, places):
        equal(dataset.take(places), reference.take(pyarrow.array(places, pyarrow.int64())))

    def test_take_of_filtered_rows(self, dataset, reference):
        condition = pc.field("n_genes") > 1200
        equal(dataset.take([4, 2], filter=condition), reference.take(pyarrow.array([4, 2]), filter=condition))
        with pytest.raises(IndexError):
            dataset.take([70])
        with pytest.raises(IndexError):
            dataset.take([-1])

    def test_filter_of_a_dataset(self, dataset, reference):
        found = dataset.filter(pc.field("n_genes") > 1100).filter(pc.field("percent_mito") < 0.02)
        equal(
            found.to_table(),
            reference.filter((pc.field("n_genes") > 1100) & (pc.field("percent_mito") < 0.02)).to_table(),
        )
        assert dataset.filter(sf.col("n_genes") > 1100).count_rows() == reference.count_rows(pc.field("n_genes") > 1100)
        with pytest.raises(TypeError, match="combined"):
            dataset.filter(sf.col("n_genes") > 1100).to_table(filter=pc.field("n_genes") > 1)

    def test_partition_columns(self, ln, reference):
        table = ln.Artifact.get(key="sharded_parquet").open(partitioning="hive").to_table()
        hive = pyarrow.dataset.dataset(str(stack.NOTEBOOK / "sharded_parquet"), partitioning="hive").to_table()
        assert [int(value) for value in table.column("louvain").to_pylist()] == hive.column("louvain").to_pylist()

    def test_other_libraries_read_it(self, dataset, reference):
        table = pyarrow.RecordBatchReader.from_stream(dataset).read_all()
        equal(table, reference.to_table())

    def test_load(self, ln, reference):
        pandas.testing.assert_frame_equal(
            ln.Artifact.get(key="sharded_parquet").load(), reference.to_table().to_pandas()
        )

    def test_what_is_refused(self, ln, dataset):
        with pytest.raises(KeyError, match="nope"):
            dataset.to_table(columns=["nope"])
        with pytest.raises((pyarrow.ArrowInvalid, KeyError), match="nope"):
            dataset.to_table(filter=pc.field("nope") > 1)
        with pytest.raises(TypeError, match="compare"):
            dataset.to_table(filter=sf.col("n_genes"))
        with pytest.raises(TypeError, match="found str"):
            dataset.to_table(filter="n_genes > 1")
        artifact = ln.Artifact.get(key="sharded_parquet")
        with pytest.raises(sf.errors.InvalidArgument, match="engine"):
            artifact.open(engine="duckdb")
        with pytest.raises(sf.errors.InvalidArgument, match="format"):
            artifact.open(format="csv")
        with pytest.raises(sf.errors.Unimplemented, match="mode"):
            artifact.open(mode="w")
        with pytest.raises(sf.errors.InvalidArgument, match="engine"):
            ln.Artifact.get(key="lndb-storage/pbmc68k.h5ad").open(engine="polars")


class TestConditions:
    """Conditions of `sliceflight.col`, on the server, against pyarrow's."""

    rows = {
        "text with a quote": (sf.col('a "quoted" name') == "it's", pc.field('a "quoted" name') == "it's"),
        "text with double quotes": (sf.col('a "quoted" name') == 'say "x"', pc.field('a "quoted" name') == 'say "x"'),
        "text with SQL": (sf.col('a "quoted" name') == "'); DROP --", pc.field('a "quoted" name') == "'); DROP --"),
        "text with a backslash": (
            sf.col('a "quoted" name') == "back\\slash",
            pc.field('a "quoted" name') == "back\\slash",
        ),
        "empty text": (sf.col('a "quoted" name') == "", pc.field('a "quoted" name') == ""),
        "isin": (
            sf.col('a "quoted" name').isin(["it's", "ü", "nope"]),
            pc.field('a "quoted" name').isin(["it's", "ü", "nope"]),
        ),
        "isin with None": (
            sf.col('a "quoted" name').isin(["a", None]),
            (pc.field('a "quoted" name') == "a") | pc.field('a "quoted" name').is_null(),
        ),
        "isin of nothing": (sf.col("it's").isin([]), pc.field("it's").isin(pyarrow.array([], pyarrow.int64()))),
        "negative": (sf.col("it's") >= -2, pc.field("it's") >= -2),
        "not equal": (sf.col("it's") != 3, pc.field("it's") != 3),
        "float": (sf.col("Größe") < 0.25, pc.field("Größe") < 0.25),
        "large float": (sf.col("Größe") == 1e300, pc.field("Größe") == 1e300),
        "boolean": (sf.col("select") == True, pc.field("select") == True),  # noqa: E712
        "null": (sf.col("select").is_null(), pc.field("select").is_null()),
        "valid": (sf.col("it's").is_valid(), pc.field("it's").is_valid()),
        "and, or, not": (
            (sf.col("it's") > 2) & ~((sf.col("Größe") > 1) | (sf.col("select") == False)),  # noqa: E712
            (pc.field("it's") > 2) & ~((pc.field("Größe") > 1) | (pc.field("select") == False)),  # noqa: E712
        ),
        "two columns": (sf.col("it's") > sf.col("Größe"), pc.field("it's") > pc.field("Größe")),
    }

    @pytest.mark.parametrize("name", rows)
    def test_rows(self, odd, name):
        dataset, table = odd
        ours, theirs = self.rows[name]
        found = dataset.to_table(columns=["it's", 'a "quoted" name'], filter=ours)
        expected = pyarrow.dataset.dataset(table).to_table(columns=["it's", 'a "quoted" name'], filter=theirs)
        assert found.to_pylist() == expected.to_pylist()
        assert dataset.count_rows(filter=ours) == expected.num_rows

    def test_dates(self, odd):
        import datetime

        dataset, _ = odd
        assert dataset.count_rows(filter=sf.col("date") == datetime.date(1970, 1, 3)) == 1
        assert dataset.count_rows(filter=sf.col("date") < datetime.datetime(1970, 1, 3, 12)) == 3

    def test_a_literal_takes_the_type_of_a_float_column(self, odd):
        dataset, _ = odd
        assert dataset.count_rows(filter=sf.col("small") == 0.1) == 8


class TestExpressions:
    """What becomes SQL, and what cannot."""

    @pytest.mark.parametrize(
        ("condition", "sql"),
        [
            (sf.col("a") == "x", "\"a\" = 'x'"),
            (sf.col('q"') != 1, '"q""" <> 1'),
            (sf.col("a").isin([1, True, 0.5]), '"a" IN (1, TRUE, 0.5)'),
            (1 < sf.col("a"), '"a" > 1'),
            (~(sf.col("a") <= 1) | (sf.col("b") >= sf.col("c")), '(NOT ("a" <= 1)) OR ("b" >= "c")'),
        ],
    )
    def test_sql(self, condition, sql):
        assert str(condition) == sql

    def test_numpy_scalars(self):
        import numpy

        assert str(sf.col("a") == numpy.float32(0.5)) == '"a" = 0.5'
        assert str(sf.col("a") == numpy.int8(-3)) == '"a" = -3'
        assert str(sf.col("a") == numpy.bool_(True)) == '"a" = TRUE'
        assert str(sf.col("a").isin(numpy.array(["x", "y'"]))) == "\"a\" IN ('x', 'y''')"

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "with\0null"])
    def test_values_without_a_literal(self, value):
        with pytest.raises(ValueError):
            sf.col("a") == value  # noqa: B015

    @pytest.mark.parametrize("value", [None, b"bytes", [1], {}, object()])
    def test_types_without_a_literal(self, value):
        with pytest.raises(TypeError):
            sf.col("a") == value  # noqa: B015

    def test_misuse(self):
        condition = sf.col("a") == 1
        with pytest.raises(TypeError, match="& |"):
            bool(condition and condition)
        with pytest.raises(TypeError, match="found str"):
            condition & "b"
        with pytest.raises(TypeError, match="one text"):
            sf.col("a").isin("text")
        with pytest.raises(TypeError):
            sf.col("")


class TestPolars:
    """`open(engine="polars")`."""

    @pytest.fixture
    def lazy(self, ln):
        return ln.Artifact.get(key="sharded_parquet").open(engine="polars")

    def test_collect(self, lazy, reference):
        assert isinstance(lazy, polars.LazyFrame)
        expected = polars.from_arrow(reference.to_table())
        assert lazy.collect().equals(expected)
        assert lazy.collect_schema() == expected.schema

    def test_in_a_with_statement(self, ln, reference):
        with ln.Collection.get(key="sharded_parquet_collection").open(engine="polars") as lazy:
            assert lazy.collect().to_pandas().shape == (20, 4)

    def test_queries(self, lazy, reference):
        expected = polars.from_arrow(reference.to_table())
        for query in (
            lambda frame: frame.select("n_genes", "index"),
            lambda frame: frame.filter(polars.col("n_genes") > 1200),
            lambda frame: frame.filter(polars.col("n_genes") > 1200).select("index").head(3),
            lambda frame: frame.head(13).filter(polars.col("percent_mito") < 0.02),
            lambda frame: frame.group_by("cell_type").agg(polars.col("n_genes").sum()).sort("n_genes"),
            lambda frame: frame.tail(2),
        ):
            assert query(lazy).collect().equals(query(expected.lazy()).collect())

    def test_only_asked_columns_and_rows_travel(self, ln, monkeypatch):
        dataset = ln.Artifact.get(key="sharded_parquet").open()
        asked = []
        stream = dataset._stream
        monkeypatch.setattr(dataset, "_stream", lambda **fields: asked.append(fields) or stream(**fields))
        dataset.lazy().select("n_genes").head(4).collect()
        assert asked == [{"columns": ["n_genes"], "where": None, "limit": 4}]

    def test_a_condition_on_the_server(self, ln, reference):
        lazy = ln.Artifact.get(key="sharded_parquet").open().filter(sf.col("n_genes") > 1200).lazy()
        expected = polars.from_arrow(reference.to_table(filter=pc.field("n_genes") > 1200))
        assert lazy.head(5).collect().equals(expected.head(5))
        assert lazy.collect().equals(expected)


class TestCollections:
    """Collections of tables."""

    def test_opens_as_one(self, ln):
        collection = ln.Collection.get(key="sharded_parquet_collection")
        paths = [str(stack.NOTEBOOK / stack.shard_key(louvain)) for louvain in (0, 1)]
        expected = pyarrow.dataset.dataset(paths, partitioning=None)
        equal(collection.open().to_table(), expected.to_table())
        pandas.testing.assert_frame_equal(collection.load(), expected.to_table().to_pandas())
        assert collection.open().files == [f"s3://{stack.BUCKET}/{stack.shard_key(louvain)}" for louvain in (0, 1)]
        assert [artifact.key for artifact in collection.artifacts] == [stack.shard_key(louvain) for louvain in (0, 1)]
