# make demo       the environment, then the main job on phantom data: Table 2 and Figure 2
# make demo-full  all three data sets: Tables 2 to 7, Figures 2 to 4
# make test       the environment, then all tests
# make test-fast  most of them, in about a minute: for while one works
# make lint       what CI checks besides the tests
# make env        the environment alone, in .venv

PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin

.PHONY: env demo demo-full test test-fast lint

env: .venv/complete

.venv/complete: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: env
	$(BIN)/snakemake --cores $(CORES) headline
	@$(BIN)/python workflow_scripts/show.py results/demo

demo-full: env
	$(BIN)/snakemake --cores $(CORES)
	@$(BIN)/python workflow_scripts/show.py results/demo

test: env
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile

test-fast: env
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile -m "not slow"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy sgrs_core docs/tools workflow_scripts
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
