# Everything sets itself up: a virtual environment in .venv, and, when root, the Debian packages that a test needs.
.PHONY: run test check judge bench format clean help
PYTHON ?= python3
BIN := .venv/bin

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

.venv/ready: pyproject.toml scripts/setup
	@PYTHON=$(PYTHON) scripts/setup

run: .venv/ready  ## a heavy electric truck and its BMS, live in the terminal (Ctrl-C ends it)
	@$(BIN)/packhorse run --truck heavy

test: .venv/ready  ## all tests
	@scripts/browser
	@$(BIN)/pytest

check: .venv/ready  ## format, lint, types, import contracts and tests, ending in one line
	@scripts/check

judge: .venv/ready  ## compare with PyBaMM (installs it: about 600 MB)
	@$(BIN)/pip install --quiet --editable '.[judge]'
	@$(BIN)/pytest -m judge

bench: .venv/ready  ## the ratios of docs/performance.md, measured here and now
	@$(BIN)/packhorse bench core
	@$(BIN)/packhorse bench estimation
	@$(BIN)/packhorse bench io

format: .venv/ready  ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean:  ## remove everything that was made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
