# make demo   builds, starts an S3-compatible server with the bundled data, and slices it through pyarrow
# make test   runs every test: Rust, Python clients, README snippets
#
# Both install what they need. CARGO_TARGET_DIR and VENV say where builds and Python packages go.

export CARGO_TARGET_DIR ?= $(CURDIR)/target
VENV ?= $(CURDIR)/.venv
PYTHON := $(abspath $(VENV))/bin/python
CARGO ?= cargo

.PHONY: demo test build test-rust test-clients test-libhdf5 clean-venv
.PHONY: bench bench-short bench-where bench-registry bench-flight bench-memory bench-micro
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
	cd tests && REQUIRE_LIBHDF5=1 $(PYTHON) -m pytest $(PYTEST_FLAGS) clients/test_virtual.py clients/test_refused.py

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

# What the cores did during the tasks whose targets are hard to meet; samples the whole machine, which needs the right to.
bench-where:
	tools/prepare.sh $(BENCH_VENV) benches/cloud/requirements.txt
	$(CARGO) build --release --locked --workspace --bins
	$(BENCH_PYTHON) benches/cloud/where.py --data $(BENCH_DATA) $(BENCH_FLAGS)

# Times of queries over a registry of 100,000 artifacts; asserts nothing.
bench-registry:
	tools/prepare.sh $(VENV) examples/requirements.txt
	$(CARGO) build --locked --bins
	$(PYTHON) benches/registry.py

# The optimised programs for the benchmarks below.
BENCH := SLICEFLIGHT_BIN=$(CARGO_TARGET_DIR)/release/sliceflight $(PYTHON)

# Throughput beside C++ and a bare socket, and small hot slices; both write benches/results/ and
# docs/benchmarks-flight.md. BENCH_FLAGS, for instance `--rounds 1`, go to each.
bench-flight:
	tools/prepare.sh $(VENV) benches/flight/requirements.txt
	$(CARGO) build --locked --release --bin sliceflight
	$(CARGO) build --locked --release --manifest-path benches/flight/Cargo.toml
	$(BENCH) benches/flight/throughput.py $(BENCH_FLAGS)
	$(BENCH) benches/flight/hot.py $(BENCH_FLAGS)
	$(PYTHON) benches/flight/report.py

# Peak memory of the server against the size of the slice.
bench-memory:
	tools/prepare.sh $(VENV) benches/flight/requirements.txt
	$(CARGO) build --locked --release --bin sliceflight
	$(BENCH) benches/memory.py $(BENCH_FLAGS)
	$(PYTHON) benches/flight/report.py

# Decoding, planning, assembling and filtering by themselves, with Criterion.
bench-micro:
	tools/prepare.sh $(VENV) benches/flight/requirements.txt
	$(PYTHON) benches/micro/data.py $(CARGO_TARGET_DIR)/micro-data
	MICRO_DATA=$(CARGO_TARGET_DIR)/micro-data $(CARGO) bench --locked --manifest-path benches/micro/Cargo.toml
	$(PYTHON) benches/micro/collect.py
	$(PYTHON) benches/flight/report.py

clean-venv:
	rm -rf $(VENV)
