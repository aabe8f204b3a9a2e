"""Queries over the registry and changes of it, as clients and the command line see them (issue 4)."""

import json
import sqlite3
import subprocess
import threading

import pyarrow
import pyarrow.flight as flight
import pytest

import stack
from conftest import PBMC
from wire import Client, described

MANY = 2_500
FILES = 24


def bucket_url(key):
    return f"s3://{stack.BUCKET}/{key}"


@pytest.fixture(scope="module")
def small(site):
    """A registry of small files with labels, and a server that may change it."""
    for number in range(6):
        suffix = (".txt", ".csv")[number % 2]
        site.put(f"p{number % 3}/file{number}{suffix}", b"x" * (10 * number + 1))
    site.command("register", bucket_url("p0/*"), bucket_url("p[12]/*"), "--label", "all")
    site.command("label", "p0/file0.txt", "lung", "--feature", "tissue")
    site.command("label", "p1/file1.csv", "lung", "spleen")
    site.command("update", "p2/file2.txt", "--description", "100% of the Spleen")
    site.register(PBMC, "--label", "blood")
    site.command("collection", "create", "set", "p2/file5.csv", "p1/file1.csv", "--description", "two files")
    return site


@pytest.fixture(scope="module")
def client(small):
    client = Client(small.serve(settings="allow_register = true\n").uri)
    yield client
    client.close()


def results(client, name, body):
    """All results of an action, as a list."""
    answer = client.action(name, body)
    return answer if isinstance(answer, list) else [answer]


def pages(client, name, **body):
    """The entries of all pages, and how many pages there are."""
    entries, count = [], 0
    while True:
        found = results(client, name, body)
        count += 1
        last = found.pop() if found and found[-1]["type"] == "page" else None
        entries += found
        if last is None:
            return entries, count
        body["page_token"] = last["next_page_token"]


def refused(call, *words):
    """The call fails, and its message holds all words."""
    with pytest.raises((pyarrow.ArrowException, flight.FlightError)) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


ALL = ["lndb-storage/pbmc68k.h5ad", *(f"p{n % 3}/file{n}{('.txt', '.csv')[n % 2]}" for n in (0, 3, 1, 4, 2, 5))]
CRITERIA = [
    ({"type": "artifact"}, ALL),
    ({}, [*ALL, "set"]),
    ({"type": "collection"}, ["set"]),
    ({"key": "p0/*"}, ["p0/file0.txt", "p0/file3.csv"]),
    ({"key": "p?/file[1-3]*"}, ["p0/file3.csv", "p1/file1.csv", "p2/file2.txt"]),
    ({"key": "set"}, ["set"]),
    ({"key_prefix": "p1/"}, ["p1/file1.csv", "p1/file4.txt"]),
    ({"suffix": ".csv"}, ["p0/file3.csv", "p1/file1.csv", "p2/file5.csv"]),
    ({"kind": "h5ad"}, [PBMC]),
    ({"label": "lung"}, ["p0/file0.txt", "p1/file1.csv"]),
    ({"labels": ["lung", "spleen"]}, ["p1/file1.csv"]),
    ({"labels": ["all", {"name": "lung", "feature": "tissue"}]}, ["p0/file0.txt"]),
    ({"labels": [{"name": "lung", "feature": "organ"}]}, []),
    ({"collection": "set"}, ["p1/file1.csv", "p2/file5.csv"]),
    ({"collection": "no such"}, []),
    ({"size": {"min": 41, "max": 100}}, ["p1/file4.txt", "p2/file5.csv"]),
    ({"n_observations": {"min": 70, "max": 70}}, [PBMC]),
    ({"description": "100% OF"}, ["p2/file2.txt"]),
    ({"description": "two"}, ["set"]),
    ({"created_at": {"from": "2020-01-01"}, "kind": "h5ad"}, [PBMC]),
    ({"created_at": {"to": "2020-01-01T00:00:00Z"}}, []),
    ({"created_by": "nobody at all"}, []),
    ({"trashed": True}, []),
]


class TestQueries:
    """`ListFlights` and `search` answer the same criteria."""

    @pytest.mark.parametrize(("criteria", "keys"), CRITERIA, ids=lambda value: json.dumps(value)[:40])
    def test_criteria(self, client, criteria, keys):
        found = [described(info)["key"] for info in client.listed(**criteria)]
        assert found == keys
        for limit in (1, 2, 1000):
            entries, count = pages(client, "search", limit=limit, **criteria)
            assert [entry["key"] for entry in entries] == keys
            assert count == max(1, -(-len(keys) // limit))

    def test_words_with_rank(self, client):
        # A word of the description weighs as much as one of the labels; both files are there.
        assert {entry["key"] for entry in pages(client, "search", search="spleen")[0]} == {"p1/file1.csv", "p2/file2.txt"}
        assert [entry["key"] for entry in pages(client, "search", search="spl", suffix=".txt")[0]] == ["p2/file2.txt"]
        assert pages(client, "search", search="all", limit=2)[1] == 3

    def test_an_entry_says_features_and_members(self, client):
        (artifact,) = results(client, "search", {"key": "p0/file0.txt"})
        assert artifact["labels"] == ["all", "lung"] and artifact["features"] == {"tissue": ["lung"]}
        (collection,) = results(client, "search", {"type": "collection"})
        assert collection["n_artifacts"] == 2
        assert [member["key"] for member in collection["artifacts"]] == ["p2/file5.csv", "p1/file1.csv"]

    def test_labels_are_looked_up(self, client):
        entries, count = pages(client, "lookup", limit=1)
        assert count == len(entries) == 4
        shown = {entry["name"]: (entry["n_artifacts"], entry["features"]) for entry in entries}
        assert shown == {
            "all": (6, []), "blood": (1, []), "lung": (2, [{"name": "tissue", "n_artifacts": 1}]), "spleen": (1, []),
        }
        assert [entry["name"] for entry in results(client, "lookup", {"search": "LU"})] == ["lung"]
        assert [entry["name"] for entry in results(client, "lookup", {"prefix": "s"})] == ["spleen"]
        assert [entry["key"] for entry in results(client, "lookup", {"of": "collections", "search": "SE"})] == ["set"]

    @pytest.mark.parametrize(
        ("criteria", "words"),
        [
            ({"lable": "x"}, ["lable", "key_prefix"]),
            ({"key": "a[b"}, ["'key'", "a[b"]),
            ({"created_at": {"from": "yesterday"}}, ["'created_at'", "yesterday"]),
            ({"created_at": {"from": "2026-02-30"}}, ["'created_at'", "2026-02-30"]),
            ({"size": {"min": 2, "max": 1}}, ["'size'"]),
            ({"size": {"at_least": 2}}, ["'size'", "at_least"]),
            ({"labels": [3]}, ["'labels'"]),
            ({"kind": "h5"}, ["'kind'", "h5ad"]),
            ({"search": "?!"}, ["'search'"]),
            ({"page_token": "x"}, ["'page_token'"]),
            ({"limit": -1}, ["'limit'"]),
        ],
    )
    def test_what_is_wrong_is_named(self, client, criteria, words):
        for call in (lambda: client.action("search", criteria), lambda: client.listed(**criteria)):
            with pytest.raises(Exception, match="(?i)invalid") as caught:
                call()
            assert all(word in str(caught.value) for word in words), caught.value

    def test_tokens_belong_to_their_criteria(self, client):
        token = results(client, "search", {"limit": 2, "type": "artifact"})[-1]["next_page_token"]
        rest = results(client, "search", {"limit": 9, "type": "artifact", "page_token": token})
        assert [entry["key"] for entry in rest] == ALL[2:]
        assert [described(info)["key"] for info in client.listed(type="artifact", page_token=token)] == ALL[2:]
        refused(lambda: client.action("search", {"limit": 2, "page_token": token}), "another query")

    def test_the_command_line_has_the_same_criteria(self, small):
        def keys(*words):
            return [entry["key"] for entry in json.loads(small.command("ls", "--json", *words).stdout)]

        assert keys("--type", "artifact") == ALL
        assert keys("p0/", "--suffix", ".csv") == ["p0/file3.csv"]
        assert keys("--key", "p?/file[12]*") == ["p1/file1.csv", "p2/file2.txt"]
        assert keys("--label", "all", "--feature", "tissue=lung") == ["p0/file0.txt"]
        assert keys("--collection", "set", "--min-size", "20") == ["p2/file5.csv"]
        assert keys("--created-from", "2020-01-01", "--max-observations", "100") == [PBMC]
        assert keys("--limit", "2") == ALL[:2]
        user = small.environment.get("USER") or small.environment.get("LOGNAME") or small.environment.get("USERNAME")
        if user:
            assert keys("--created-by", user, "--kind", "h5ad") == [PBMC]
        assert "spleen" in small.command("labels", "s").stdout
        assert "p2/file2.txt" in small.command("search", "100 spleen").stdout
        failed = small.command("ls", "--created-to", "soon", check=False)
        assert failed.returncode == 1 and "created_at" in failed.stderr


class TestTables:
    """What is registered as Arrow."""

    def test_artifacts(self, client):
        table = client.get({"registry": "artifacts"})
        entries = pages(client, "search", type="artifact")[0]
        rows = table.to_pylist()
        for name in ("uid", "key", "version", "is_latest", "suffix", "kind", "url", "size", "etag", "labels", "description"):
            assert [row[name] for row in rows] == [entry[name] for entry in entries], name
        assert rows[1]["features"] == [{"feature": "tissue", "label": "lung"}]
        assert [row["created_at"].isoformat()[:19] for row in rows] == [entry["created_at"][:19] for entry in entries]
        assert table.schema.metadata[b"sliceflight.registry"] == b"artifacts"

    def test_conditions_and_columns(self, client):
        request = {"registry": "artifacts", "where": "suffix = '.csv' AND size > 20", "columns": ["size", "key"]}
        assert client.get(request).to_pydict() == {"size": [31, 51], "key": ["p0/file3.csv", "p2/file5.csv"]}
        assert client.direct(request | {"offset": 1, "limit": 5}).to_pydict() == {"size": [51], "key": ["p2/file5.csv"]}
        assert client.get(request | {"where": "size < 0"}).num_rows == 0

    def test_the_other_tables(self, client):
        assert client.get({"registry": "collections"}).column("n_artifacts").to_pylist() == [2]
        members = client.get({"registry": "members"}).to_pylist()
        assert [(row["position"], row["artifact_key"]) for row in members] == [(0, "p2/file5.csv"), (1, "p1/file1.csv")]
        labels = client.get({"registry": "labels", "where": "name = 'lung'"}).to_pylist()
        assert [(row["feature"], row["n_artifacts"]) for row in labels] == [(None, 2), ("tissue", 1)]

    @pytest.mark.parametrize(
        ("request_", "word"),
        [
            ({"registry": "users"}, "artifacts, collections, labels, members"),
            ({"registry": "labels", "columns": ["key"]}, "n_artifacts"),
            ({"registry": "labels", "where": "key ="}, "key ="),
            ({"registry": "labels", "node": "X"}, "node"),
            ({"registry": "labels", "key": "k"}, "several"),
        ],
    )
    def test_what_is_wrong_is_named(self, client, request_, word):
        with pytest.raises(Exception) as caught:
            client.direct(request_)
        assert word in str(caught.value)


def test_long_listings_stream_page_by_page(site, tmp_path):
    registry = tmp_path / "many.db"
    stack.command(["ls", "--registry", registry], site.environment)
    with sqlite3.connect(registry) as connection:
        rows = [(n, f"k{n:05}", f"{n:016}") for n in range(1, MANY + 1)]
        connection.executemany("INSERT INTO families VALUES (?1, ?2, ?3, 1)", rows)
        sql = (
            "INSERT INTO artifacts (id, family_id, uid, key, version, is_latest, suffix, kind, url, size, etag, created_at) "
            "VALUES (?1, ?1, ?3 || '0000', ?2, 0, 1, '', 'other', 's3://b/k', 1, 'e', '2026-01-01T00:00:00.000Z')"
        )
        connection.executemany(sql, rows)
    connection.close()
    with stack.Server.start(registry, site.environment, tmp_path / "log") as server:
        client = Client(server.uri)
        keys = [key for _, key, _ in rows]
        assert [described(info)["key"] for info in client.listed()] == keys
        assert [described(info)["key"] for info in client.listed(limit=1_500)] == keys[:1_500]
        assert pages(client, "search")[1] == 3
        assert client.get({"registry": "artifacts", "columns": ["key"]}).column("key").to_pylist() == keys
        client.close()
    shown = json.loads(stack.command(["ls", "--json", "--registry", registry], site.environment).stdout)
    assert [entry["key"] for entry in shown] == keys


class TestChanges:
    """Actions that change the registry, never data."""

    @pytest.fixture
    def key(self, small, client):
        key = "changes/a.h5ad"
        small.put(key, stack.NOTEBOOK / "csc.h5ad")
        client.action("register", {"url": bucket_url(key), "key": key})
        yield key
        client.action("remove", {"key": key})
        assert (small.bucket / key).is_file()

    def test_a_new_version_is_made_of_new_content_only(self, small, client, key):
        again = client.action("register", {"url": bucket_url(key), "key": key, "labels": ["x"]})
        assert (again["created"], again["version"], again["labels"]) == (False, 0, ["x"])
        small.put(key, stack.NOTEBOOK / "variants.h5ad")
        changed = client.action("register", {"url": bucket_url(key), "key": key})
        assert (changed["created"], changed["version"], changed["labels"], changed["created_by"]) == (True, 1, [], "")
        assert [entry["version"] for entry in pages(client, "search", key=key, all_versions=True)[0]] == [1, 0]
        older = client.listed(key=key, all_versions=True)[1]
        assert json.loads(older.descriptor.command) == {"uid": again["uid"]}

    def test_trash_and_restore(self, client, key):
        uid = client.action("search", {"key": key})["uid"]
        before = client.get({"key": key, "node": "obs"})
        assert client.action("trash", {"key": key}) == {"trashed": 1}
        assert results(client, "search", {"key": key}) == []
        refused(lambda: client.get({"key": key}), "trash")
        assert client.get({"uid": uid, "node": "obs"}).equals(before)
        (hidden,) = results(client, "search", {"trashed": True})
        assert hidden["uid"] == uid and hidden["trashed_at"] and not hidden["is_latest"]
        assert client.action("restore", {"key": key}) == {"restored": 1}
        assert client.get({"key": key, "node": "obs"}).equals(before)
        refused(lambda: client.action("restore", {"key": key}), "not in the trash")

    def test_labels_and_description(self, client, key):
        label = {"name": "lung", "feature": "organ"}
        assert client.action("label", {"key": key, "labels": ["b", label]})["features"] == {"organ": ["lung"]}
        assert client.action("unlabel", {"key": key, "labels": [label]})["labels"] == ["b"]
        refused(lambda: client.action("unlabel", {"key": key, "labels": ["c"]}), "no label")
        assert client.action("update", {"key": key, "description": "new words"})["description"] == "new words"
        assert results(client, "search", {"search": "words"})[0]["key"] == key
        assert client.action("update", {"key": key, "description": None})["description"] is None
        refused(lambda: client.action("update", {"key": key}), "'description'")

    def test_members(self, small, client, key):
        client.action("create_collection", {"key": "growing", "artifacts": [key]})
        refused(lambda: client.action("trash", {"key": key}), "growing")
        changed = client.action("change_collection", {"collection": "growing", "add": [PBMC], "remove": [key]})
        assert [member["key"] for member in changed["artifacts"]] == [PBMC]
        small.command("collection", "add", "growing", key)
        shown = small.command("collection", "remove", "growing", PBMC).stdout
        assert "growing of 1 artifacts" in shown
        small.command("collection", "delete", "growing")
        assert results(client, "lookup", {"of": "collections", "prefix": "grow"}) == []

    def test_the_command_line_changes_the_same(self, small, key):
        assert "tissue=lung" in small.command("label", key, "lung", "--feature", "tissue").stdout
        assert "lung" not in small.command("label", key, "lung", "--remove").stdout
        assert "1 record moved" in small.command("trash", key).stdout
        assert key in small.command("ls", "--trashed").stdout and key not in small.command("ls").stdout
        assert "1 record restored" in small.command("restore", key).stdout

    def test_nothing_changes_without_permission(self, small):
        client = Client(small.serve().uri)
        for name in ("expand", "register", "create_collection", "change_collection", "label", "unlabel", "update",
                     "trash", "restore", "remove"):  # fmt: skip
            refused(lambda name=name: client.action(name, {"key": PBMC}), "allow_register")
        client.close()


class TestManyUrls:
    """`register` of many URLs: side by side, and again after a stop."""

    @pytest.fixture
    def many(self, site, tmp_path):
        folder = f"many-{tmp_path.name}"
        for number in range(FILES):
            site.put(f"{folder}/f{number:02}.txt", b"%d" % number)
        site.cloud.reset()

        def register(*words, check=True):
            words = ["register", *words, "--registry", tmp_path / "r.db"]
            return stack.command(words, site.environment, check=check)

        register.folder, register.registry, register.site = folder, tmp_path / "r.db", site
        yield register
        site.cloud.clear_faults()

    def requests(self, many):
        """Requests for objects and for listings since the last time."""
        methods = [entry["method"] for entry in many.site.cloud.log_entries()]
        many.site.cloud.reset()
        return methods.count("HEAD"), len(methods) - methods.count("HEAD")

    def registered(self, many):
        shown = stack.command(["ls", "--json", "--registry", many.registry], many.site.environment).stdout
        return len(json.loads(shown))

    def test_a_pattern_costs_one_listing_and_then_one_request_each(self, many):
        pattern = bucket_url(f"{many.folder}/*.txt")
        many(pattern)
        assert self.requests(many) == (FILES, 1)
        assert self.registered(many) == FILES
        done = many(pattern)
        assert self.requests(many) == (0, 1)
        assert f"{FILES} unchanged" in done.stderr
        many.site.put(f"{many.folder}/f03.txt", b"changed")
        assert "f03.txt version 1" in many(pattern).stdout
        assert self.requests(many) == (1, 1)

    def test_what_is_unchanged_is_not_opened_again(self, many):
        url = bucket_url(f"{many.folder}/one.h5ad")
        many.site.put(f"{many.folder}/one.h5ad", stack.NOTEBOOK / "csc.h5ad")
        many(url)
        assert self.requests(many)[1] > 0
        assert "one.h5ad version 0" in many(url, "--label", "later").stdout
        assert self.requests(many) == (1, 0)
        assert "later" in stack.command(["ls", "--registry", many.registry], many.site.environment).stdout

    def test_folders_that_a_pattern_means(self, many):
        for name in ("a", "b"):
            many.site.put(f"{many.folder}/deep/{name}.zarr", stack.NOTEBOOK / "variants_v3.zarr")
        pattern = bucket_url(f"{many.folder}/**/*.zarr")
        assert many(pattern).stdout.count("version 0") == 2
        many.site.cloud.reset()
        assert "2 unchanged" in many(pattern).stderr
        assert self.requests(many) == (0, 1)

    def test_one_that_fails_does_not_stop_the_others(self, many, tmp_path):
        urls = [bucket_url(f"{many.folder}/f{number:02}.txt") for number in range(FILES)]
        urls.insert(3, bucket_url(f"{many.folder}/missing.txt"))
        (tmp_path / "urls").write_text("# these\n\n" + "\n".join(urls))
        done = many("--from-file", tmp_path / "urls", check=False)
        assert done.returncode == 1
        assert "missing.txt" in done.stderr and f"1 of {FILES + 1} URLs" in done.stderr
        assert self.registered(many) == FILES

    def test_a_stopped_command_goes_on(self, many):
        # Every URL waits, so that some are done and some are not when the command is killed.
        many.site.cloud.fault("slow", match=many.folder, delay_ms=150, methods=["HEAD"])
        words = [stack.binary("sliceflight"), "register", bucket_url(f"{many.folder}/*.txt"), "--jobs", "2"]
        words += ["--registry", str(many.registry)]
        process = subprocess.Popen(words, env=many.site.environment, stdout=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(4)]
        process.kill()
        process.wait()
        process.stdout.close()
        assert all("version 0" in line for line in lines)
        many.site.cloud.clear_faults()
        done = self.registered(many)
        assert 4 <= done < FILES
        many.site.cloud.reset()
        many(bucket_url(f"{many.folder}/*.txt"))
        assert self.requests(many) == (FILES - done, 1)
        assert self.registered(many) == FILES

    def test_urls_are_registered_side_by_side(self, many):
        many.site.cloud.fault("slow", match=many.folder, delay_ms=100, methods=["HEAD"])
        many(bucket_url(f"{many.folder}/*.txt"), "--jobs", "12")
        assert self.registered(many) == FILES

    def test_nothing_that_matches_is_an_error(self, many):
        done = many(bucket_url(f"{many.folder}/*.h5ad"), check=False)
        assert done.returncode == 1 and "nothing matches" in done.stderr


def test_clients_read_while_another_writes(client, small):
    """Pages of a registry that changes: everything that stays is there once."""
    stop, failed = threading.Event(), []

    def change():
        other = Client(client_uri)
        try:
            while not stop.is_set():
                other.action("label", {"key": PBMC, "labels": ["busy"]})
                other.action("unlabel", {"key": PBMC, "labels": ["busy"]})
        except Exception as error:  # the main thread shows it
            failed.append(error)
        finally:
            other.close()

    client_uri = small.running[0].uri
    worker = threading.Thread(target=change)
    worker.start()
    try:
        for _ in range(20):
            assert [entry["key"] for entry in pages(client, "search", type="artifact", limit=3)[0]] == ALL
    finally:
        stop.set()
        worker.join()
    assert not failed
