# make setup   .venv with everything, the Rust core in release mode
# make demo    the main job: two CSV files, three agents, one model
# make test    Rust and Python tests       make test-slow   the long ones
# make check   format, lint, types, layers
# make bench   the table of ratios beside the peers (benchmarks/README.md)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find crates -name '*.rs' -o -name '*.toml') Cargo.toml Cargo.lock rust-toolchain.toml
# Older OpenBLAS builds are told by these which kernel to use; nothing of ours needs them.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export JAX_PLATFORMS := cpu

.PHONY: setup demo test test-slow check format bench clean
.DELETE_ON_ERROR:

setup: $(VENV)/.dev $(VENV)/.built

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"

# The crates compile while pip downloads; maturin then finds them built.
$(VENV)/.lab: pyproject.toml | $(BIN)/python
	@echo "installing the Python libraries and compiling the Rust core (a few minutes the first time)"
	@cargo build -q --release --workspace --exclude argot-py & \
	$(BIN)/python -m pip install -q --group lab; status=$$?; wait && exit $$status
	@touch $@

$(VENV)/.dev: $(VENV)/.lab pyproject.toml
	@$(BIN)/python -m pip install -q --group dev
	@touch $@

$(VENV)/.built: $(VENV)/.lab $(RUST) pyproject.toml
	@. $(BIN)/activate && maturin develop -q --release
	@touch $@

demo: $(VENV)/.built
	@$(BIN)/argot demo

test: setup
	cargo test -q --release
	$(BIN)/python -m pytest

test-slow: setup
	$(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cargo fmt --check
	cargo clippy -q --release --all-targets -- -D warnings
	$(BIN)/python -m pytest tests/test_layers.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt

bench: setup
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf target $(VENV) src/argot/_core*.so
