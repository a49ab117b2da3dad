# make setup   .venv with everything, the Rust core in release mode
# make demo    the main job: two CSV files, three agents, one model; PROTOCOL=cheetah for two parties alone
# make test    Rust and Python tests       make test-slow   the long ones
# make check   format, lint, types, layers
# make bench   the tables of ratios beside the peers (benchmarks/README.md)
# make bench-wan   the operations over shaped links between network namespaces, as root

PYTHON ?= python3
PROTOCOL ?= aby3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find crates -name '*.rs' -o -name '*.toml') Cargo.toml Cargo.lock rust-toolchain.toml
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
export JAX_PLATFORMS := cpu

.PHONY: setup demo test test-slow check format bench bench-wan clean
.DELETE_ON_ERROR:

setup: $(VENV)/.built $(VENV)/.dev

$(BIN)/maturin: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install -q --group build
	@touch $@

$(VENV)/.built: $(BIN)/maturin $(RUST) pyproject.toml
	@test -e $@ || echo "compiling the Rust core and installing the Python libraries: a few minutes, once"
	@. $(BIN)/activate && maturin develop -q --release --extras lab
	@touch $@

$(VENV)/.dev: $(VENV)/.built pyproject.toml
	@$(BIN)/python -m pip install -q --group dev
	@touch $@

demo: $(VENV)/.built
	@mkdir -p out
	@$(BIN)/argot demo --protocol $(PROTOCOL) --html out/argot-demo.html

test: setup
	cargo test -q --release
	$(BIN)/python -m pytest -n 2 --dist loadfile

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
	$(BIN)/python benchmarks/run.py --write
	$(BIN)/python benchmarks/peer_table.py --write
	$(BIN)/python benchmarks/peer_table.py --protocol semi2k+dealer --out out/peer-semi2k.json --write
	$(BIN)/python benchmarks/peer_table.py --protocol cheetah --out out/peer-cheetah.json --write
	$(BIN)/python benchmarks/examples.py --write
	$(BIN)/python benchmarks/memory.py --write

bench-wan: setup
	$(BIN)/python benchmarks/wan.py

clean:
	rm -rf target $(VENV) src/argot/_core*.so
