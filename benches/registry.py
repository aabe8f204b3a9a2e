"""Times queries over a registry of many artifacts, in the built server, as a client sees them.

Run by hand or with `make bench-registry`; nothing is asserted. The registry is made by the program and filled with
SQL, which takes seconds instead of the minutes of as many registrations.

    python benches/registry.py [--artifacts 100000] [--rounds 40]
"""

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import pyarrow.flight as flight  # noqa: E402

import stack  # noqa: E402

WORDS = ["blood", "lung", "liver", "heart", "kidney", "brain", "colon", "skin", "spleen", "thymus"]
NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
KEY = "printf('project%03d/sample%06d_%s.h5ad', n % 200, n, word)"
FILL = [
    "CREATE TEMP TABLE words (at INTEGER PRIMARY KEY, word TEXT)",
    "CREATE TEMP TABLE made AS {numbers} SELECT n, word FROM numbers JOIN words ON at = n % 10",
    "INSERT INTO families (id, key, stem, next_version) SELECT n, {key}, printf('%016d', n), 1 FROM made",
    "INSERT INTO artifacts (id, family_id, uid, key, version, is_latest, suffix, kind, url, size, n_observations, etag, "
    "description, created_at, created_by) SELECT n, n, printf('%016d0000', n), {key}, 0, 1, "
    "iif(n % 3, '.h5ad', '.zarr'), iif(n % 3, 'h5ad', 'zarr'), printf('s3://bucket/%d', n), n * 1000, n % 5000, "
    "printf('%d', n), printf('cells of the %s, donor %d', word, n % 500), "
    "strftime('%Y-%m-%dT%H:%M:%fZ', '2025-01-01', printf('+%d minutes', n)), iif(n % 7, 'me', 'you') FROM made",
    "INSERT INTO labels (name) SELECT printf('tissue %s', word) FROM words UNION SELECT printf('donor %d', n % 500) "
    "FROM made UNION SELECT 'checked'",
    "INSERT INTO labelled SELECT n, l.id, '', 1, 1, {key}, printf('%016d0000', n) FROM made CROSS JOIN labels l "
    "ON l.name IN (printf('tissue %s', word), printf('donor %d', n % 500), iif(n % 2, 'checked', NULL))",
    "INSERT INTO artifact_search (rowid, key, description, labels) SELECT a.id, a.key, a.description, "
    "(SELECT group_concat(l.name, ' ') FROM labelled m JOIN labels l ON l.id = m.label_id WHERE m.artifact_id = a.id) "
    "FROM artifacts a",
]
QUERIES = {
    "first page of 50": {"limit": 50},
    "get by key": None,
    "label of half of them": {"label": "checked", "limit": 50},
    "label of one in 500": {"label": "donor 77", "limit": 50},
    "two labels": {"labels": ["checked", "tissue lung"], "limit": 50},
    "search: one artifact": {"search": "sample042042", "limit": 50},
    "search: one in 500": {"search": "donor 77 skin", "limit": 50},
    "search: one in ten": {"search": "spleen", "limit": 50},
    "search: all": {"search": "cells", "limit": 50},
    "key pattern": {"key": "project042/*liver*", "limit": 50},
    "suffix": {"suffix": ".zarr", "limit": 50},
    "created in one day": {"created_at": {"from": "2025-02-01", "to": "2025-02-02"}, "limit": 50},
    "size": {"size": {"min": 5_000_000, "max": 5_040_000}, "limit": 50},
    "made by": {"created_by": "you", "limit": 50},
}


def fill(registry, count):
    """Fills the new registry with `count` artifacts."""
    connection = sqlite3.connect(registry)
    with connection:
        for statement in FILL:
            connection.execute(statement.format(numbers=NUMBERS.format(count=count), key=KEY))
            if "TEMP TABLE words" in statement:
                connection.executemany("INSERT INTO words VALUES (?, ?)", enumerate(WORDS))
    connection.close()


def median(call, rounds):
    """The median time of a call, in milliseconds."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--artifacts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        registry, environment = Path(folder) / "registry.db", stack.bare_environment()
        stack.command(["ls", "--registry", registry], environment)
        fill(registry, options.artifacts)
        with stack.Server.start(registry, environment, Path(folder) / "log") as server:
            client = flight.connect(server.uri)

            def act(name, body):
                return list(client.do_action(flight.Action(name, json.dumps(body).encode())))

            (first, *_) = act("search", {"limit": 1})
            key = json.loads(first.body.to_pybytes())["key"]
            print(f"{options.artifacts} artifacts, median of {options.rounds}:")
            for name, criteria in QUERIES.items():
                body = {"key": key} if criteria is None else criteria
                found = len(act("search", body))
                print(f"{median(lambda body=body: act('search', body), options.rounds):8.2f} ms  {name} ({found} results)")
            lookup = {"of": "labels", "prefix": "donor 1"}
            print(f"{median(lambda: act('lookup', lookup), options.rounds):8.2f} ms  look-up of labels")
            everything = json.dumps({"registry": "artifacts", "where": "size > 99000000"}).encode()
            start = time.perf_counter()
            rows = client.do_get(flight.Ticket(everything)).read_all().num_rows
            print(f"{1000 * (time.perf_counter() - start):8.0f} ms  all artifacts as Arrow, {rows} rows left")


if __name__ == "__main__":
    main()
