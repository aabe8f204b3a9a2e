"""The package itself: its README and docstrings run, its types hold, its wheel installs, pyarrow is enough."""

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sliceflight
import stack

PACKAGE = stack.PROJECT / "python"
BLOCK = re.compile(
    r"(?:<!-- test: (?P<mark>\w+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
MODULES = [module.name for module in pkgutil.iter_modules(sliceflight.__path__)]


def test_the_readme(notebook):
    """Each python block prints the text block behind it."""
    address, names, printed = notebook.serve().uri, {}, None
    blocks = list(BLOCK.finditer((PACKAGE / "README.md").read_text()))
    assert len(blocks) > 12
    for block in blocks:
        if block["language"] == "text":
            assert [line.rstrip() for line in printed.splitlines()] == block["code"].splitlines()
        elif block["language"] == "python" and block["mark"] != "skip":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(block["code"].replace("grpc://localhost:8815", address), "README", "exec"), names)
            printed = output.getvalue()


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module):
    found = importlib.import_module(f"sliceflight.{module}")
    assert found.__doc__, "a module says what it is"
    assert doctest.testmod(found).failed == 0
    public = [value for name, value in vars(found).items() if not name.startswith("_") and callable(value)]
    for value in public:
        if getattr(value, "__module__", "") == found.__name__:
            assert value.__doc__, f"{value.__name__} of {module} has no docstring"


def test_some_docstrings_have_examples():
    counts = [doctest.testmod(importlib.import_module(f"sliceflight.{module}")).attempted for module in MODULES]
    assert sum(counts) >= 6


def test_types():
    """mypy --strict, with what it needs to know about other packages in pyproject.toml."""
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull],
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(PACKAGE)]
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    sources = {f"sliceflight/{path.name}" for path in Path(sliceflight.__file__).parent.glob("*") if path.is_file()}
    assert sources <= set(names) and "sliceflight/py.typed" in names
    required = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert [name for name in required if "extra ==" not in name] == ["pyarrow>=20"]
    assert f"Version: {sliceflight.__version__}\n" in metadata and "Requires-Python: >=3.11" in metadata


def test_an_installed_wheel_with_pyarrow_alone(wheel, notebook, tmp_path):
    """Installed into an empty folder; NumPy, pandas and all else cannot be imported."""
    target = tmp_path / "installed"
    words = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True, timeout=120)
    code = """
import sys
for name in ("numpy", "pandas", "scipy", "anndata", "polars", "tqdm"):
    sys.modules[name] = None
import sliceflight as sf
assert sf.__file__.startswith(sys.argv[1]), sf.__file__
ln = sf.connect(sys.argv[2], progress=True)
print(ln.Artifact.get(key="sharded_parquet").open().to_table(filter=sf.col("n_genes") > 1600).num_rows)
print([artifact.key for artifact in ln.Artifact.filter(suffix=".h5ad")])
try:
    ln.Artifact.get(key="lndb-storage/pbmc68k.h5ad").open()
except ImportError as error:
    print("numpy" in str(error))
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "PYTHONPATH": str(target)
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(target), notebook.serve().uri],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["2", "['lndb-storage/pbmc68k.h5ad']", "True"]
