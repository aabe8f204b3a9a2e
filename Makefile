# make demo   builds, starts an S3-compatible server with the bundled data, and slices it through pyarrow
# make test   runs every test: Rust, Python clients, README snippets
#
# Both install what they need. CARGO_TARGET_DIR and VENV say where builds and Python packages go.

export CARGO_TARGET_DIR ?= $(CURDIR)/target
VENV ?= $(CURDIR)/.venv
PYTHON := $(abspath $(VENV))/bin/python
CARGO ?= cargo

.PHONY: demo test build test-rust test-clients clean-venv
.DEFAULT_GOAL := demo

demo:
	tools/prepare.sh $(VENV) examples/requirements.txt
	$(CARGO) build --locked --workspace
	$(PYTHON) examples/demo.py $(if $(SERVE),--serve)

test: test-rust test-clients

test-rust:
	tools/prepare.sh $(VENV) tests/requirements.txt
	$(CARGO) test --locked --workspace

build:
	$(CARGO) build --locked --workspace

test-clients: build
	tools/prepare.sh $(VENV) tests/requirements.txt
	$(PYTHON) tests/fixtures/generate_notebook.py check
	cd tests && $(PYTHON) -m pytest $(PYTEST_FLAGS)

clean-venv:
	rm -rf $(VENV)
