# Each target is a few lines that you could type yourself. The first one that needs it makes .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
export HOMIE_DATA_DIR ?= $(CURDIR)/.homie-data

.PHONY: help run test test-all lint types docs docs-update bench bench-scale bench-peers clean

help:               ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run: .venv/run      ## migrate an example database in ./.homie-data and show its status
	$(BIN)/homie migrations apply
	$(BIN)/homie migrations status

test: .venv/test    ## run all tests but the long campaigns, in about two minutes
	$(PYTEST) -m "not slow"

test-all: .venv/test ## run all tests, the campaigns of kills, power failures and faults too
	$(PYTEST)

lint: .venv/test    ## check style, imports between rooms, and that no function is too complex
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@found=$$($(BIN)/radon cc --min D --show-complexity homie_migrations_core plugins examples benchmarks) && \
	  if [ -n "$$found" ]; then echo "Too complex (radon, D or worse):"; echo "$$found"; exit 1; fi

types: .venv/test   ## check types
	$(BIN)/mypy
	$(BIN)/mypy examples/file_tags

docs: .venv/docs    ## build the documentation as a site, in ./site
	$(BIN)/sphinx-build --builder html --fresh-env --fail-on-warning --keep-going --quiet docs site
	@echo "The site is in site/index.html"

docs-update: .venv/test ## write help texts, tables, outputs of commands and pictures of them into the documentation
	PYTHONPATH=tests $(BIN)/python -m pages

bench: .venv/test   ## measure what it costs, as ratios
	$(BIN)/python -m benchmarks

bench-scale: .venv/test ## measure how costs grow, and write docs/explanation/scale.md with its plots
	$(BIN)/python -m benchmarks.scale

bench-peers: .venv/test ## measure it beside other tools, each in an environment of its own in .peers
	$(BIN)/python -m benchmarks.peers

clean:              ## remove .venv, .peers, the example database and the site
	rm -rf .venv .peers .homie-data site

.venv/run: pyproject.toml plugins/file_organizer_migrations/pyproject.toml
	$(PYTHON) -m venv .venv
	$(INSTALL) -e . -e plugins/file_organizer_migrations
	touch $@

.venv/test: .venv/run
	$(INSTALL) -e ".[test]" -e plugins/file_organizer_migrations
	touch $@

.venv/docs: .venv/run
	$(INSTALL) -e ".[docs]" -e plugins/file_organizer_migrations
	touch $@
