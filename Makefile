# make demo | test | test-long | docs | fuzz | lint | rooms | platforms | oldest | bench: each sets up .venv; nothing outside this folder is changed.
PYTHON ?= python3
BIN := .venv/bin
PYTHONS ?= 3.12 3.13
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

MINUTES ?= 30

.PHONY: demo test test-long docs fuzz lint rooms platforms oldest bench clean

.venv/.core: pyproject.toml constraints.txt
	@echo "installing genoformer and its dependencies into .venv: some minutes, one line for each package"
	$(PYTHON) -m venv .venv
	$(subst --quiet,--progress-bar off,$(PIP)) -e .
	touch $@

.venv/.dev: .venv/.core
	$(PIP) -e '.[dev]'
	touch $@

.venv/.docs: .venv/.core
	$(PIP) -e '.[docs]'
	touch $@

.venv/.bench: .venv/.dev
	$(PIP) -e '.[dev]'
	touch $@

demo: .venv/.core
	$(BIN)/genoformer demo -o demo_out

test: lint
	PYTHONHASHSEED=0 $(BIN)/python -m pytest -q -n auto --dist worksteal
	.ci/platform 3.12 rooms  # one minute; 3.13 has to build ncls from source, and is left to `make rooms`

# Also the long tests: the notebooks that train, Enformer at its full size (9 GB).
test-long: lint
	GENOFORMER_FULL=1 PYTHONHASHSEED=0 $(BIN)/python -m pytest -q -n auto --dist worksteal

# The documentation as a site: open site/index.html. A broken link or an unknown name is an error.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Search at random for MINUTES: half of them damaged files of every format, half the property tests with new examples.
fuzz: .venv/.dev
	$(BIN)/python tests/fuzz.py --minutes $$(( $(MINUTES) / 2 )) --seed $$(date +%s)
	$(BIN)/python tests/search.py --minutes $$(( $(MINUTES) / 2 ))

# Tests that need no torch, with the other Pythons of this machine.
rooms:
	for version in $(PYTHONS); do .ci/platform $$version rooms || exit 1; done

# Also those that need torch, for the Pythons with a build of torch.
platforms: rooms
	for version in $(PYTHONS); do .ci/platform $$version quick || exit 1; done

# Tests with the lowest versions that pyproject.toml allows; installs torch for CUDA, some gigabytes.
oldest:
	.ci/platform 3.11 oldest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.bench
	$(BIN)/python tests/benchmarks/run.py --write

clean:
	rm -rf .venv .venv-* build dist site *.egg-info demo_out
