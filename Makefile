# make demo | test | lint | bench: each sets up .venv by itself; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint bench clean

.venv/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $@

.venv/.dev: .venv/.core
	$(PIP) -e '.[dev]'
	touch $@

.venv/.bench: .venv/.dev
	$(PIP) -e '.[dev]'
	touch $@

demo: .venv/.core
	$(BIN)/genoformer demo -o demo_out

test: lint
	$(BIN)/python -m pytest -q -n auto --dist worksteal

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.bench
	$(BIN)/python tests/benchmarks/run.py --write

clean:
	rm -rf .venv build dist *.egg-info demo_out
