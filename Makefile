# Mailhold. `make` lists what there is; each target makes .venv itself.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIZE ?= 10k
SEED ?= 1
COUNT ?= 400
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check format screenshots bench mutate torture floors newest pages deb clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# The stamp is made last, so that an install that was interrupted is done again.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Mailhold needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed ## open the console on a store of sample mail (ARGS="--messages 5000" for more)
	@$(BIN)/mailhold demo $(ARGS)

test: $(VENV)/.installed ## run the tests; those that need Postfix or PostgreSQL skip where these are missing
	@$(BIN)/python -m pytest -q -n auto --dist loadgroup --no-loadscope-reorder $(ARGS)

check: $(VENV)/.installed ## formatting, lint, types, layers, and the errors that docstrings name, all clean
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python .ci/docstrings.py store tui

format: $(VENV)/.installed ## format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

screenshots: $(VENV)/.installed ## write screenshots/*.svg, driven through the real console
	@$(BIN)/python -m tests.screenshots
	@$(BIN)/python -m tests.film

bench: $(VENV)/.installed ## measure (SIZE=10k, 100k or 1M)
	@$(BIN)/python -m tests.benchmarks --size $(SIZE) $(ARGS)

mutate: $(VENV)/.installed ## change the store's rooms at COUNT=400 places drawn by SEED=1: does a test notice each?
	@nice $(BIN)/python -m tests.mutation --seed $(SEED) --count $(COUNT) $(ARGS)

torture: $(VENV)/.installed ## kills, failing and full disks, wrong clocks, many programs at once: what holds? (ARGS="--minutes 60")
	@nice $(BIN)/python -m tests.torture $(ARGS)

floors: ## run a short set of tests on the oldest versions that pyproject.toml declares
	@$(PYTHON) .ci/floors $(ARGS)

newest: ## run the same on the newest versions there are, whatever constraints.txt says
	@$(PYTHON) .ci/floors --newest $(ARGS)

pages: $(VENV)/.installed ## write the man pages and the shells' completions anew, from the parser
	@$(BIN)/python packaging/make.py

deb: ## build Debian's package into dist/, with the system's Python
	@/usr/bin/python3 packaging/debian/build.py $(ARGS)

clean: ## remove .venv and caches
	@rm -rf $(VENV) .floors .newest .pytest_cache .mypy_cache .ruff_cache .hypothesis .bench .mutation build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
