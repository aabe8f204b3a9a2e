"""A LaminDB instance in PostgreSQL gives the answers of the same instance in SQLite."""

import time

import pyarrow
import pytest

import lamin
import postgres
from lamindb_served import entries, eventually, keys, serve

pytestmark = pytest.mark.skipif(postgres.missing() is not None, reason=postgres.missing() or "")


@pytest.fixture(scope="module")
def server():
    server = postgres.Postgres(tls=True)
    yield server
    server.remove()


def reader(server, database, **options):
    options = {"sslmode": "disable"} | options
    return server.url(database, "reader", postgres.READER_PASSWORD, **options)


@pytest.fixture(scope="module", params=lamin.GENERATIONS)
def both(request, site, server, tmp_path_factory):
    """Clients of the same instance in SQLite and in PostgreSQL."""
    instance = lamin.Instance.lay_out(tmp_path_factory.mktemp("both") / "storage", request.param)
    database = "lamin_" + request.param.replace(".", "_")
    server.load(database, instance.database)
    clients = [serve(site, instance.settings(url=url)) for url in (instance.root, reader(server, database))]
    yield instance, *[next(client) for client in clients]
    for client in clients:
        next(client, None)


CRITERIA = [
    {},
    {"all_versions": True},
    {"trashed": True},
    {"key": "*.h5ad"},
    {"label": "setosa"},
    {"collection": "sharded_parquet_collection"},
    {"created_by": "anonymous", "suffix": ".h5ad"},
    {"created_at": {"from": "2026-11-22T06:11:59.700Z"}},
    {"size": {"min": 5_000}},
    {"search": "virt"},
    {"search": "parquet"},
    {"type": "collection"},
]


class TestSameAnswers:
    def test_every_artifact(self, both):
        instance, lite, real = both
        for row in instance.rows():
            assert answer(lite, {"uid": row["uid"]}) == answer(real, {"uid": row["uid"]})

    @pytest.mark.parametrize("criteria", CRITERIA, ids=str)
    def test_listings(self, both, criteria):
        _, lite, real = both
        found = entries(real, **criteria)
        assert found == entries(lite, **criteria)
        if criteria in ({}, {"search": "parquet"}):
            assert found

    def test_labels_and_collections(self, both):
        _, lite, real = both
        for body in ({}, {"of": "collections"}):
            assert lite.action("lookup", body) == real.action("lookup", body)
        source = {"collection": "sharded_parquet_collection"}
        assert answer(lite, source) == answer(real, source)
        assert real.get(source).equals(lite.get(source))


def answer(client, source):
    try:
        return client.action("describe", source)
    except pyarrow.ArrowException as failure:
        return type(failure), str(failure).split(". gRPC client debug context")[0]


class TestServer:
    """What only a server can do."""

    @pytest.fixture
    def instance(self, server, tmp_path):
        instance = lamin.Instance.lay_out(tmp_path / "storage", "v2.12")
        instance.name = f"lamin_{time.monotonic_ns()}"
        server.load(instance.name, instance.database)
        return instance

    def test_changes_are_seen(self, site, server, instance):
        for client in serve(site, instance.settings(url=reader(server, instance.name))):
            server.execute(instance.name, "UPDATE lamindb_artifact SET description = 'fresh' WHERE id = 2")

            def changed():
                assert keys(client, description="fresh") == ["testfile.hdf5"]

            eventually(changed)
            server.execute(instance.name, "DELETE FROM lamindb_artifactulabel")

            def unlabelled():
                assert keys(client, label="setosa") == []

            eventually(unlabelled)

    def test_a_server_that_goes_leaves_the_old_answers(self, site, server, instance):
        for client in serve(site, instance.settings(url=reader(server, instance.name))):
            before = keys(client)
            server.stop()
            try:
                time.sleep(1.5)
                assert keys(client) == before
            finally:
                server.start()
            server.execute(instance.name, "UPDATE lamindb_artifact SET description = 'back' WHERE id = 2")

            def back():
                assert keys(client, description="back") == ["testfile.hdf5"]

            eventually(back)

    def test_a_role_that_may_not_read(self, site, server, instance):
        server.execute(instance.name, "REVOKE SELECT ON lamindb_artifact FROM reader")
        done = site.command("serve", "--listen", "127.0.0.1:0", "--lamindb", reader(server, instance.name), check=False)
        assert done.returncode == 1
        assert "lamindb_artifact" in done.stderr
        assert postgres.READER_PASSWORD not in done.stderr

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"sslmode": "verify-ca"}, "not supported"),
            ({"sslmode": "require"}, "not trusted"),
            ({"nonsense": "1"}, "known options"),
        ],
    )
    def test_bad_urls_are_told_without_the_password(self, site, server, options, words):
        url = reader(server, "postgres", host="localhost", **options)
        done = site.command("serve", "--listen", "127.0.0.1:0", "--lamindb", url, check=False)
        assert done.returncode == 1
        assert words in done.stderr
        assert postgres.READER_PASSWORD not in done.stderr

    def test_tls_with_a_trusted_certificate(self, site, server, instance):
        options = {"sslmode": "verify-full", "sslrootcert": server.certificate, "host": "localhost"}
        for client in serve(site, instance.settings(url=reader(server, instance.name, **options))):
            assert "testfile.hdf5" in keys(client)
        server.execute("postgres", "SELECT 1")

    def test_the_role_may_not_write_even_when_it_could(self, site, server, instance):
        """The owner is asked to serve: the session is read-only, and the server's own statistics say so."""
        for client in serve(site, instance.settings(url=server.url(instance.name, sslmode="disable"))):
            assert "testfile.hdf5" in keys(client)
            time.sleep(0.5)
        server.execute(
            instance.name,
            """DO $$ BEGIN IF (SELECT sum(n_tup_upd + n_tup_del) FROM pg_stat_user_tables) > 0
            THEN RAISE 'written'; END IF; END $$""",
        )
