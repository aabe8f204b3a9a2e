"""What query sets ask the server for, with a stand-in that lists records."""

import datetime

import pytest

import sliceflight as sf
from sliceflight.query import Criteria, QuerySet


class Listing:
    """A connection whose server has `count` artifacts and one collection, and lists at most `limit` of them."""

    def __init__(self, count):
        self.records = [{"type": "artifact", "uid": f"{n:020}", "key": f"k{n}"} for n in range(count)]
        self.records.append({"type": "collection", "uid": "c", "key": "c"})
        self.asked = []
        self.actions = frozenset({"search"})

    def pages(self, name, body):
        assert name == "search"
        self.asked.append(body)
        found = [record for record in self.records if record["key"].startswith(body.get("key_prefix", ""))]
        yield from found[: body["limit"]]


def artifacts(listing):
    return QuerySet(listing, "artifact", lambda record: record["key"], Criteria())


def test_more_than_the_server_lists_by_default():
    found = artifacts(Listing(2345))
    assert (len(found), found.count(), found.all()[-1]) == (2345, 2345, "k2344")


def test_more_than_the_server_ever_lists():
    found = artifacts(Listing(100_001))
    with pytest.raises(sf.errors.ResourceExhausted, match="100000"):
        found.all()
    assert found.filter(limit=7).all() == [f"k{n}" for n in range(7)]


def test_a_limit_counts_what_is_found():
    listing = Listing(2345)
    assert artifacts(listing).filter(key__startswith="k23", limit=3).all() == ["k23", "k230", "k231"]
    assert artifacts(listing).filter(limit=0).first() is None


def test_pages(monkeypatch):
    from sliceflight.connection import Connection, Settings

    answers = {None: (["a", "b"], "t1"), "t1": ([], "t2"), "t2": (["c"], None)}
    asked = []

    def results(self, name, body):
        asked.append(body)
        keys, token = answers[body.get("page_token")]
        yield from ({"type": "artifact", "uid": key, "key": key} for key in keys)
        if token:
            yield {"type": "page", "next_page_token": token}

    monkeypatch.setattr(Connection, "results", results)
    monkeypatch.setattr(Connection, "actions", frozenset({"lookup", "search"}))
    found = QuerySet(Connection(Settings("grpc://nowhere:1")), "artifact", lambda record: record["key"], Criteria())
    assert found.filter(suffix=".h5ad").all() == ["a", "b", "c"]
    assert [body.get("page_token") for body in asked] == [None, "t1", "t2"]
    assert all((body["suffix"], body["type"]) == (".h5ad", "artifact") for body in asked)
    assert found.first() == "a" and len(asked) == 4, "one page is enough for the first"


def test_the_first_needs_few():
    listing = Listing(2345)
    assert artifacts(listing).first() == "k0"
    assert listing.asked == [{"limit": 50}]
    assert artifacts(listing).filter(key="k1").first() == "k1"
    assert artifacts(listing).filter(key="k").first() is None, "an exact key that only others begin with"
    assert [asked["limit"] for asked in listing.asked[-2:]] == [50, 100_000]


@pytest.mark.parametrize(
    ("conditions", "sent"),
    [
        ({"suffix": ".h5ad"}, {"suffix": ".h5ad"}),
        ({"ulabels": sf.ULabel("a")}, {"label": "a"}),
        ({"ulabels": ["a", sf.ULabel("b"), {"name": "c"}]}, {"labels": ["a", "b", "c"]}),
        ({"key__glob": "*.h5ad"}, {"key": "*.h5ad"}),
        ({"key__startswith": "a/"}, {"key_prefix": "a/"}),
        ({"size__gte": 5, "size__lt": 10}, {"size": {"min": 5, "max": 9}}),
        ({"n_observations__gt": 5}, {"n_observations": {"min": 6}}),
        ({"size": 7}, {"size": {"min": 7, "max": 7}}),
        ({"size": {"min": 1}}, {"size": {"min": 1}}),
        ({"created_at__gte": datetime.date(2026, 1, 2)}, {"created_at": {"from": "2026-01-02"}}),
        ({"created_at__lte": "2026-01-02"}, {"created_at": {"to": "2026-01-02"}}),
        ({"created_by": "me", "kind": "h5ad", "anything": 1}, {"created_by": "me", "kind": "h5ad", "anything": 1}),
        ({"search": "blood"}, {"search": "blood"}),
    ],
)
def test_conditions(conditions, sent):
    assert Criteria().narrowed(conditions).sent == sent


def test_conditions_add_up():
    criteria = Criteria().narrowed({"size__gte": 5}).narrowed({"size__lte": 9}).narrowed({"suffix": ".a"})
    assert criteria.sent == {"size": {"min": 5, "max": 9}, "suffix": ".a"}
    with pytest.raises(sf.errors.InvalidArgument, match="suffix"):
        criteria.narrowed({"suffix": ".b"})
    assert criteria.narrowed({"suffix": ".a"}).sent == criteria.sent
