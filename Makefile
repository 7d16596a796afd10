# Two commands for a newcomer, on a machine with Python 3.11 or newer: `make demo`, `make test`.
# Each first makes .venv, once, and installs what constraints.txt pins.

PYTHON ?= python3
ARGS ?=
FUZZ ?= 100000
DIST ?= dist

# A test computes on one thread, so that as many run at once as there are cores.
SHARED_OUT := --numprocesses auto --dist worksteal

BIN := .venv/bin
# The stamp carries the folder's name: a repository that was moved or copied installs itself again,
# or its commands would still run the code at the old place.
STAMP := .venv/.installed-$(shell pwd | cksum | cut -d ' ' -f 1)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow fuzz lint types format docs playground release release-check clean

help:
	@echo "make demo         train a small model here, generate, verify, write report.html"
	@echo "                  (make demo ARGS='--minutes 3' passes settings on)"
	@echo "make test         formatting, lint, types and the tests: a few minutes"
	@echo "make test-slow    the tests that take minutes each"
	@echo "make install      only what the others need: .venv"
	@echo "make docs         the documentation as a site, in site/"
	@echo "make playground   the page on which the models in the box run in a browser, in site/playground;"
	@echo "                  after make docs, which empties site/"
	@echo "make release      wheel, sdist and a list of what they need (SBOM), in dist/, after both were"
	@echo "                  installed in an empty environment and made a video there"
	@echo "make release-check   make release, and asks whether flaws of what it needs are known"
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
	$(BIN)/python -m pytest $(SHARED_OUT) $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest $(SHARED_OUT) -m slow $(ARGS)

fuzz: $(STAMP)
	KINEOGRAPH_FUZZ=$(FUZZ) $(BIN)/python -m pytest -m slow tests/test_fuzz.py $(ARGS)

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

playground: $(STAMP)
	$(BIN)/python docs/playground/build.py site/playground

# What builds, lists and asks is kept apart from what is released, which has an environment of its own.
release:
	rm -rf $(DIST)
	$(PYTHON) -m venv $(DIST)/tools
	$(DIST)/tools/bin/python -m pip install --quiet -c constraints.txt build cyclonedx-bom pip-audit
	$(DIST)/tools/bin/python -m build --outdir $(DIST)
	$(PYTHON) -m venv $(RELEASED)
	$(RELEASED)/bin/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(RELEASED)/bin/python -m pip install --quiet -c constraints.txt $(DIST)/*.tar.gz
	$(call first-video,sdist)
	$(RELEASED)/bin/python -m pip install --quiet --no-deps --force-reinstall $(DIST)/*.whl
	$(call first-video,wheel)
	$(DIST)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file $(DIST)/sbom.cdx.json $(RELEASED)/bin/python

RELEASED = $(DIST)/environment

first-video = cd $(DIST) && environment/bin/kineograph generate "circle moving up-right" --out first-$(1).mp4

# What could not be asked about counts as a failure, too (--strict).
release-check: release
	$(RELEASED)/bin/python -m pip freeze --exclude kineograph | sed 's/+.*//' > $(DIST)/needs.txt
	$(DIST)/tools/bin/pip-audit --strict --no-deps --disable-pip --requirement $(DIST)/needs.txt

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
