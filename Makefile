# Everything a developer types. It needs Python 3.11 or newer, make, and the package registry that
# pip is set up for; nothing else is fetched. All paths are relative, so any folder will do.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALLED := .venv/.installed
INSTALLED_TEST := .venv/.installed-test

# make PYTHON=/path/to/python chooses another one; make test PYTEST='-k archive' chooses tests.
PYTHON ?=
PYTEST ?=
# Of the tests: more than two processors, since many tests wait for servers and other processes.
WORKERS ?= 6

export DAGSTER_DISABLE_TELEMETRY := yes
# Where it is set, each of hundreds of processes compiles all modules anew.
export PYTHONDONTWRITEBYTECODE :=
# As `activate` would: dg warns when the active environment is not the project's.
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: help install demo dev test test-fast test-nightly bench screenshots lint format clean

help: ## show this list
	@echo "rets_pipeline: an exact mirror of MLS listings. Targets:"
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1|\2/p' Makefile \
		| awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

install: $(INSTALLED) .env ## set up the virtual environment .venv, and .env from .env.example
	@echo "installed; now: make demo"

demo: $(INSTALLED) .env ## mirror an invented MLS server: listings, photos, changes, deletions (a minute)
	@$(BIN)/rets-pipeline demo

dev: $(INSTALLED) .env ## open Dagster's UI on the demo's data
	@$(BIN)/rets-pipeline dev

test: lint ## all checks and all tests, on real Postgres and S3 servers
	$(BIN)/dg check defs
	$(BIN)/dagster definitions validate -w workspace.yaml
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not nightly" $(PYTEST)

test-fast: $(INSTALLED_TEST) ## the tests that take no more than some seconds each
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(PYTEST)

test-nightly: lint ## those left to the night too, and hundreds of killed lives: LIVES=300 FIRST=1000
	RETS_PIPELINE_LIVES=$(or $(LIVES),300) RETS_PIPELINE_FIRST_LIFE=$(or $(FIRST),1) \
		$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST)

bench: $(INSTALLED_TEST) ## every speed and size beside its limit, in one table (about ten minutes)
	@test -d benchmarks/.peers || echo "python -m benchmarks --install-peers compares with others, too"
	$(BIN)/python -m benchmarks $(BENCH)

screenshots: $(INSTALLED_TEST) .env ## picture the UI for the README, from a demo of its own (needs a Chromium or npm)
	$(BIN)/python -m rets_pipeline_tests.screenshots

lint: $(INSTALLED_TEST) .env ## ruff, formatting, types, and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED_TEST) ## bring the code into ruff's form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean: ## remove the virtual environment and all caches; the data in .rets_pipeline/ stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf .tmp_dagster_home_*
	find rets_pipeline rets_pipeline_tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment holds secrets later, so only its owner may read it.
.env:
	@umask 077 && cp .env.example .env

$(INSTALLED): pyproject.toml constraints.txt
	@$(find_python) \
	if ! $(BIN)/python -c 'import pip; $(supported)' 2> /dev/null; then \
		"$$python" -c 'import ensurepip, venv' 2> /dev/null || { \
			echo "$$python has no complete module venv; install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; \
			exit 1; \
		}; \
		rm -rf .venv && "$$python" -m venv .venv || exit 1; \
	fi
	@echo "installing into .venv (the first time takes a minute or two) ..."
	@$(PIP) install -qq --constraint constraints.txt --editable .
	@touch $@

$(INSTALLED_TEST): $(INSTALLED)
	@echo "installing what tests need into .venv ..."
	@$(PIP) install -qq --constraint constraints.txt --editable '.[test]'
	@touch $@

supported := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))

# Sets the shell's variable `python` to the first interpreter of a supported version.
define find_python
python=; \
for candidate in $(if $(PYTHON),"$(PYTHON)",python3.11 python3 python3.12 python3.13 python3.14); do \
	if "$$candidate" -c '$(supported)' 2> /dev/null; then \
		python=$$candidate; break; \
	fi; \
done; \
if [ -z "$$python" ]; then \
	echo "Python 3.11, 3.12, 3.13 or 3.14 was not found; make PYTHON=/path/to/python names one" >&2; \
	exit 1; \
fi;
endef
