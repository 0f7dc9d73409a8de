# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest -W error

.PHONY: demo test check setup tap services lint types unit torture bench clean

demo: setup tap        ## load real data with a real tap into DuckDB, and show it
	$(PYTHON) examples/demo.py

test: setup tap services lint types ## everything: lint, types, all tests on real databases, branch coverage
	$(PYTHON) -m coverage erase
	SERVICES_REQUIRED=1 $(PYTEST) -n 2 --dist worksteal --cov=tailrace --cov-branch --cov-report=term tests

check: setup lint types unit ## what to run while working: lint, types, unit tests

setup:
	scripts/setup

tap: setup
	scripts/setup-tap

services: setup
	scripts/setup-services

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types:
	.venv/bin/mypy

unit:
	$(PYTEST) -n 2 tests/unit tests/statements tests/house

torture: setup services       ## 200 kills a destination; writes tests/laws/TORTURE.md
	PYTHONPATH=. $(PYTHON) tests/laws/torture.py

bench: setup services  ## side by side with others; writes bench/RESULTS.md
	bench/rivals/setup
	$(PYTHON) bench/run.py

clean:
	rm -rf .venv .work .mypy_cache .ruff_cache .hypothesis
