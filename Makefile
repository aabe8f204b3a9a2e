# make demo   builds, starts an S3-compatible server with the bundled data, and slices it through pyarrow
# make test   runs every test: Rust, Python clients, README snippets
#
# Both install what they need. CARGO_TARGET_DIR and VENV say where builds and Python packages go.

export CARGO_TARGET_DIR ?= $(CURDIR)/target
VENV ?= $(CURDIR)/.venv
PYTHON := $(abspath $(VENV))/bin/python
CARGO ?= cargo

.PHONY: demo test build test-rust test-clients test-libhdf5 bench bench-short bench-registry clean-venv
.DEFAULT_GOAL := demo

demo:
	tools/prepare.sh $(VENV) examples/requirements.txt
	$(CARGO) build --locked --workspace
	$(PYTHON) examples/demo.py $(if $(SERVE),--serve)

test: test-rust test-clients test-libhdf5

test-rust:
	tools/prepare.sh $(VENV) tests/requirements.txt
	$(CARGO) test --locked --workspace

build:
	$(CARGO) build --locked --workspace

test-clients: build
	tools/prepare.sh $(VENV) tests/requirements.txt
	$(PYTHON) tests/fixtures/generate_notebook.py check
	cd tests && $(PYTHON) -m pytest $(PYTEST_FLAGS)

# What needs the feature libhdf5; `tools/prepare.sh VENV tests/requirements-libhdf5.txt` puts cmake into
# the venv. Of the two builds of the program the one with the feature comes last, and stays.
test-libhdf5: build
	tools/prepare.sh $(VENV) tests/requirements.txt
	tools/prepare.sh $(VENV) tests/requirements-libhdf5.txt
	PATH="$(dir $(PYTHON)):$$PATH" $(CARGO) test --locked --features libhdf5 --test library
	cd tests && REQUIRE_LIBHDF5=1 $(PYTHON) -m pytest $(PYTEST_FLAGS) clients/test_virtual.py

# Runs the usual tasks with sliceflight and with other tools, in turn, against one simulated cloud, and writes
# docs/benchmarks.md; flags of benches/cloud/run.py in BENCH_FLAGS. The first time it makes 4 GB of data in BENCH_DATA.
BENCH_DATA ?= $(CARGO_TARGET_DIR)/bench-data
BENCH_VENV ?= $(CURDIR)/.venv-bench
BENCH_PYTHON := $(abspath $(BENCH_VENV))/bin/python

bench:
	tools/prepare.sh $(BENCH_VENV) benches/cloud/requirements.txt
	$(CARGO) build --release --locked --workspace --bins
	$(BENCH_PYTHON) benches/cloud/scale.py --data $(BENCH_DATA)
	$(BENCH_PYTHON) benches/cloud/run.py --data $(BENCH_DATA) $(BENCH_FLAGS)

# The same with data that is made in seconds, one round and no latencies: for its counts, and to see that it works.
bench-short:
	tools/prepare.sh $(BENCH_VENV) benches/cloud/requirements.txt
	$(CARGO) build --release --locked --workspace --bins
	$(BENCH_PYTHON) benches/cloud/run.py --short --data $(BENCH_DATA) $(BENCH_FLAGS)

# Times of queries over a registry of 100,000 artifacts; asserts nothing.
bench-registry:
	tools/prepare.sh $(VENV) examples/requirements.txt
	$(CARGO) build --locked --bins
	$(PYTHON) benches/registry.py

clean-venv:
	rm -rf $(VENV)
