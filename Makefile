# Every target makes its own environment in .venv; only Python ≥ 3.11 and make are assumed.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

help:  ## Show what can be done
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: .venv/base  ## See what qkv does, on real vectors, in under a minute
	$(BIN)/qkv demo

test: .venv/dev  ## Run all tests, and every example in the docs
	$(BIN)/python -m pytest

test-train: .venv/train  ## Run what needs PyTorch (a gigabyte): finetune, and the loss beside its
	$(BIN)/python -m pytest tests/test_finetuning.py

check: .venv/dev  ## Lint, types (strict), and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/bench  ## Measure everything again; results go to benchmarks/results
	$(BIN)/python benchmarks/run.py

docs: .venv/dev  ## Run every block of README, docs and docstrings
	$(BIN)/python -m pytest tests/test_docs.py src

format: .venv/dev  ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what the other targets made
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/pip:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "qkv needs Python 3.11 or newer: make PYTHON=python3.11 ..."'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

.venv/base: .venv/pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/dev: .venv/base
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

.venv/train: .venv/dev
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	@touch $@

.venv/bench: .venv/base
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

.PHONY: help demo test test-train check bench docs format clean
