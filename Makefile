# The front door. Each target is what you could type yourself; .venv is made on first use.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export HOMIE_DATA_DIR ?= $(CURDIR)/.homie-data

.PHONY: run test lint types bench clean

run: .venv/run      ## migrate an example database in ./.homie-data and show where it stands
	$(BIN)/homie migrations apply
	$(BIN)/homie migrations status

test: .venv/test    ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: .venv/test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/test
	$(BIN)/mypy

bench: .venv/test   ## what it costs, as ratios
	$(BIN)/python -m benchmarks

.venv/run: pyproject.toml plugins/file_organizer_migrations/pyproject.toml
	$(PYTHON) -m venv .venv
	$(INSTALL) -e . -e plugins/file_organizer_migrations
	touch $@

.venv/test: .venv/run
	$(INSTALL) -e ".[test]" -e plugins/file_organizer_migrations
	touch $@

clean:
	rm -rf .venv .homie-data
