"""LaminDB instances behind a server: the fixtures and questions that their tests share."""

import time

import pytest

import lamin
from wire import Client

PATIENCE = 20


@pytest.fixture(scope="module", params=lamin.GENERATIONS)
def instance(request, tmp_path_factory):
    return lamin.Instance.lay_out(tmp_path_factory.mktemp("lamin") / "storage", request.param)


@pytest.fixture(scope="class")
def client(site, instance):
    yield from serve(site, instance.settings())


@pytest.fixture
def fresh(tmp_path):
    """An instance of its own for a test that changes it."""
    return lamin.Instance.lay_out(tmp_path / "storage", "v2.12")


@pytest.fixture
def fresh_client(site, fresh):
    yield from serve(site, fresh.settings())


def serve(site, settings, *flags):
    client = Client(site.serve(*flags, settings=settings).uri)
    yield client
    client.close()


def eventually(check):
    """Calls `check` until it raises no AssertionError."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def entries(client, **criteria):
    found = client.action("search", criteria)
    found = found if isinstance(found, list) else [found]
    return [entry for entry in found if entry.get("type") != "page"]


def keys(client, **criteria):
    return [entry["key"] for entry in entries(client, type="artifact", **criteria)]
