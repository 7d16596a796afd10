# Two commands for a newcomer, on a machine with Python 3.11 or newer: `make demo`, `make test`.
# Each first makes .venv, once, and installs what constraints.txt pins.

PYTHON ?= python3
ARGS ?=
FUZZ ?= 100000

BIN := .venv/bin
# The stamp carries the folder's name: a repository that was moved or copied installs itself again,
# or its commands would still run the code at the old place.
STAMP := .venv/.installed-$(shell pwd | cksum | cut -d ' ' -f 1)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow fuzz lint types format docs playground clean

help:
	@echo "make demo         train a small model here, generate, verify, write report.html"
	@echo "                  (make demo ARGS='--minutes 3' passes settings on)"
	@echo "make test         formatting, lint, types and the tests: a few minutes"
	@echo "make test-slow    the tests that take minutes each"
	@echo "make install      only what the others need: .venv"
	@echo "make docs         the documentation as a site, in site/"
	@echo "make playground   the page on which the models in the box run in a browser, in site/playground;"
	@echo "                  after make docs, which empties site/"
	@echo "make fuzz         damages real files and loads them, FUZZ=100000 times: half an hour or so"
	@echo "make lint | types | format | clean"

install: $(STAMP)

# The stamp comes last, so an installation that was interrupted is taken up again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Kineograph needs Python 3.11 or newer, and '$(PYTHON)' is not."; \
	  echo "Name one that is, such as: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { \
	  echo "'$(PYTHON) -m venv' failed. On Debian or Ubuntu: apt install python3-venv"; \
	  exit 1; } >&2
	@rm -f .venv/.installed-*
	@echo "Installing into .venv (once; torch is the large part) ..."
	@$(PIP_INSTALL) torch==2.13.0
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/kineograph demo $(ARGS)

test: lint types
	$(BIN)/python -m pytest $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow $(ARGS)

fuzz: $(STAMP)
	KINEOGRAPH_FUZZ=$(FUZZ) $(BIN)/python -m pytest -m slow tests/test_fuzz.py $(ARGS)

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

playground: $(STAMP)
	$(BIN)/python docs/playground/build.py site/playground

lint: $(STAMP)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .

types: $(STAMP)
	$(BIN)/python -m mypy

format: $(STAMP)
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

# What tools leave behind; .venv and everything that training made stay.
clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
