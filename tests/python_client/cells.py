"""`examples/notebook.ipynb`: running its cells, and writing the file with what they print.

    cd tests && python -m python_client.cells URL    runs the cells against a server and keeps their output

A cell is run as Jupyter runs it: what it prints, then the value of its last expression.
"""

import ast
import contextlib
import io
import json
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parent.parent.parent / "examples" / "notebook.ipynb"
ADDRESS = "grpc://localhost:8815"


def read():
    """The notebook."""
    return json.loads(NOTEBOOK.read_text())


def run(notebook, address):
    """Runs every code cell in one namespace; gives what each prints."""
    names = {"__name__": "__main__"}
    return [shown(source(cell).replace(ADDRESS, address), names) for cell in notebook["cells"] if is_code(cell)]


def is_code(cell):
    return cell["cell_type"] == "code"


def source(cell):
    """The text of a cell."""
    return "".join(cell["source"])


def stored(cell):
    """The output that the file keeps for a cell."""
    return "".join(
        "".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in cell["outputs"]
    )


def shown(code, names):
    """What a cell prints, and the value of its last expression."""
    module = ast.parse(code)
    last = module.body.pop() if module.body and isinstance(module.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(module, "cell", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return printed.getvalue() + ("" if value is None else repr(value))


def write(address):
    """Keeps the output of every cell in the file."""
    notebook = read()
    outputs = iter(run(notebook, address))
    for number, cell in enumerate(cell for cell in notebook["cells"] if is_code(cell)):
        text = next(outputs)
        cell["execution_count"] = number + 1
        cell["outputs"] = (
            [{"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}] if text else []
        )
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(sys.argv[1])
