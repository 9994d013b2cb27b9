# One door to everything; `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env test test-all format lint types layers docs tests fix demo bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# PyTorch's OpenMP threads spin while they wait; side by side that costs up to 18 times the time.
export OMP_WAIT_POLICY := PASSIVE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

env: $(INSTALLED) ## make .venv, once and again whenever pyproject.toml changes

# One resolution for everything, so that nothing can replace PyTorch by a release outside its bounds.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The tests come last, so that their summary is the last thing to be read.
test: format lint types layers docs tests ## everything that a change must pass

format: env ## is every file formatted?
	$(BIN)/ruff format --check

lint: env ## all of ruff's rules, but those that pyproject.toml gives a reason against
	$(BIN)/ruff check

types: env ## mypy --strict on the package, the tests, the documentation and the benchmarks
	$(BIN)/mypy

layers: env ## the walk goes one way
	$(BIN)/lint-imports --no-cache

docs: env ## the generated pages are up to date, and the pages build without a warning
	$(BIN)/python docs/generate.py --check
	$(BIN)/sphinx-build -n -W --keep-going -q docs docs/_build/html

# Two workers, as PyTorch in each of them uses a core. T chooses: make tests T=tests/data
tests: env ## the tests and doctests that are not slow; T=PATH chooses some
	$(BIN)/python -m pytest -q -n 2 -m "not slow" $(T)

test-all: format lint types layers docs ## as test, with the slow tests
	$(BIN)/python -m pytest -q -n 2 $(T)

fix: env ## format, and repair what ruff can repair
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python docs/generate.py

demo: env ## draw a small study, run the main job on it, and end with the path of the report
	rm -rf runs/demo
	$(BIN)/radpath demo --out runs/demo

bench: env ## measure speed; DATA=FOLDER measures scores on real images too
	for benchmark in $(filter-out %/real_data.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$benchmark; done
	$(if $(DATA),$(BIN)/python benchmarks/real_data.py '$(DATA)')

clean: ## remove what can be made again; environment and runs stay
	rm -rf build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
