"""The server of the whole run, and the table that the run makes."""

import pytest

from .house import House
from .table import Table


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    """One server for every file of the corpus."""
    house = House(tmp_path_factory.mktemp("conformance"))
    yield house
    house.stop()


@pytest.fixture(scope="session")
def table():
    """The outcome of every file that the run has looked at."""
    return Table()
