# The two commands of the README, and the parts of which `make test` is made.
# Everything lives in .venv; the stamps say that it holds what pyproject.toml asks for, to run and to develop.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
TESTS ?= tests

.PHONY: demo test check lint types layers generated pytest bench clean

demo: $(STAMP)  ## a guided run: deploy, load-balance, heal, roll out; needs no engine and no root
	$(BIN)/kube-actors demo

test: check pytest  ## everything that CI checks

check: lint types layers generated  ## the checks that run no test

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

layers: $(DEV)
	$(BIN)/lint-imports

generated: $(DEV)
	$(BIN)/python scripts/generate_types.py --check
	$(BIN)/python scripts/draw.py --check
	$(BIN)/python scripts/generate_column_texts.py --check

pytest: $(DEV)  ## one part: make pytest TESTS=tests/unit
	$(BIN)/python -m pytest $(TESTS)

bench: $(STAMP)  ## how fast it starts, on this machine
	$(BIN)/kube-actors bench startup

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(DEV): $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
