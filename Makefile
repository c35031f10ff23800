# `make` alone says what there is.

PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
TEST := $(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

# uv installs the same versions in less time; `make UV=` does without it.
UV := $(shell command -v uv)
ifdef UV
CREATE := uv venv --quiet --seed --allow-existing --python $(PYTHON)
INSTALL := uv pip install --quiet --python $(BIN)/python
else
CREATE := $(PYTHON) -m venv
INSTALL := $(BIN)/pip install --quiet
endif

.PHONY: help env demo demo-full test test-fast test-slow test-golden coverage lint docs

help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | expand -t 15

env: .venv/complete ## the environment alone, in .venv

.venv/complete: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(CREATE) .venv
	$(INSTALL) --requirement requirements.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

demo: env ## what the method is for, on phantom scans: table, figures, report
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml -- all report
	@$(BIN)/python workflow_scripts/show.py results/demo

demo-full: env ## everything on phantom scans: three data sets, Tables 2 to 7, Figures 2 to 4
	$(BIN)/snakemake --cores $(CORES) -- all report
	@$(BIN)/python workflow_scripts/show.py results/demo_full

test: env ## all tests
	$(TEST)

test-fast: env ## most of them, in minutes: for while one works
	$(TEST) -m "not slow"

test-slow: env ## the others: whole workflows, every command of the documentation
	$(TEST) -m slow

test-golden: env ## numbers of the authors' code alone
	$(TEST) tests/golden

coverage: env ## what share of sgrs_core the fast tests run
	$(TEST) -m "not slow" --cov --cov-report=term:skip-covered

lint: env ## what CI checks besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy sgrs_core docs/tools workflow_scripts
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

docs: env ## the pages as a site, in site/
	$(BIN)/mkdocs build --strict
