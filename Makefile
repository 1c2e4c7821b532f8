# make demo | test | check | bench, each from a fresh clone with nothing but git, make and Python 3.11.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/demo
MINUTES ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check bench fuzz format clean

help:
	@echo "make demo      build a bundle for four targets from PyPI, verify it, install it without a network, import it"
	@echo "make test      all tests, hermetic and network, after installing what they need"
	@echo "make check     ruff, mypy, import-linter, tests: what CI runs"
	@echo "make test-all  the tests that take many minutes, too"
	@echo "make bench     the figures, as ratios against named peers; BENCH=catalogue for one of them"
	@echo "make fuzz      each parser gets bytes that nobody wrote, MINUTES=1 for each"
	@echo "make clean     remove what these made"

# One stamp for each set of dependencies, so that nothing is installed twice.
$(VENV)/.run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wheelhouse needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=26.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.check: $(VENV)/.run tests/prepare.sh
	sh tests/prepare.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group check
	@touch $@

demo: $(VENV)/.run
	@BIN=$(BIN) DEMO=$(DEMO) sh examples/demo.sh

test: $(VENV)/.check
	$(BIN)/python -m pytest --numprocesses 4 -m "not slow"

test-all: $(VENV)/.check
	sh tests/prepare.sh slow
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group slow
	$(BIN)/python -m pytest --numprocesses 4

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory test

bench: $(VENV)/.check
	$(BIN)/python -m tests.bench $(BENCH)

fuzz: $(VENV)/.check
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

format: $(VENV)/.check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .fuzz
