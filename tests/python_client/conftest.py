"""The stack of the client tests with the package `sliceflight` in front of it.

The fixtures `site`, `notebook` and `every_file` are those of `tests/clients`; here is what the package adds:
a session on a server of a module.
"""

import importlib.util
import sys
from pathlib import Path

import pytest


def _clients():
    """tests/clients/conftest.py as a module of its own name: pytest keeps one module called conftest."""
    name = "clients_conftest"
    if name not in sys.modules:
        path = Path(__file__).resolve().parent.parent / "clients" / "conftest.py"
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


clients = _clients()
site, notebook, every_file = clients.site, clients.notebook, clients.every_file
pytest_runtest_makereport = clients.pytest_runtest_makereport


@pytest.fixture(scope="module")
def ln(notebook):
    """A session on a server of the notebook's registry."""
    import sliceflight as sf

    with sf.connect(notebook.serve().uri, timeout=60) as session:
        yield session


@pytest.fixture(scope="module")
def ln_all(every_file):
    """A session on a server that has the files of every encoding as well."""
    import sliceflight as sf

    with sf.connect(every_file.serve().uri, timeout=60) as session:
        yield session
