# Every command of the project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCALE ?= 1
# A run of the tests in another storage format than the default; tests that choose their format are not repeated.
EACH_FORMAT = for format in column row; do COLONNADE_STORAGE_FORMAT=$$format $(BIN)/python -m pytest -n auto
# What of the tests shows a program's face of the driver: quick enough to be run twice each time.
FACE = $(foreach part,blob compatibility connection differential dump functions,tests/driver/test_$(part).py) tests/sqlalchemy/test_music_store.py

.PHONY: help demo test test-all bench lint clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */|/' | column -t -s '|'

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Colonnade needs Python 3.11 or newer; say: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e '.[dev,tpch]'
	touch $@

demo: $(VENV)/installed ## generate TPC-H at scale 0.1, load it with every key checked, query it
	$(BIN)/python benchmarks/demo.py

test: $(VENV)/installed ## the test suite (under 10 minutes on 2 cores)
	$(BIN)/python -m pytest -n auto -m 'not slow'
	COLONNADE_STORAGE_FORMAT=column $(BIN)/python -m pytest -n auto -m 'not slow' $(FACE)

test-all: $(VENV)/installed ## the test suite with its long runs in each storage format, CPython's tests on each Python found
	$(BIN)/python -m pytest -n auto
	set -e; $(EACH_FORMAT) tests/driver tests/loader tests/sqlalchemy tests/sql; done

bench: $(VENV)/installed ## the benchmarks, side by side with sqlite3 and DuckDB (SCALE=1)
	$(BIN)/pip install --quiet -e '.[bench]'
	$(BIN)/python benchmarks/load.py --scale $(SCALE)
	$(BIN)/python benchmarks/driver.py
	$(BIN)/python benchmarks/queries.py --scale $(SCALE)

lint: $(VENV)/installed ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/typed && mkdir -p build/typed && cp -rs $(CURDIR)/driver build/typed/colonnade
	for layer in sql store loader; do cp -rs $(CURDIR)/$$layer build/typed/colonnade/$$layer; done
	MYPYPATH=build/typed $(BIN)/mypy --strict -p colonnade

clean: ## remove what the commands above made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
