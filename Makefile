# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Scripts is what Windows calls it.
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PYTHON := $(BIN)/python
PYTEST := $(PYTHON) -m pytest -W error
# The wheel takes longest, so that its compiler goes first; the others aren't starved where something else is at work.
BESIDE := $(if $(filter Windows_NT,$(OS)),,nice -n 5)
AT_ONCE := $(MAKE) --jobs=2 --no-print-directory $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
WHOLE := SERVICES_REQUIRED=1 scripts/in-memory $(PYTEST) -m "not newest"
# These would take a third longer if branches were counted, and meet next to none that others don't.
UNCOUNTED := tests/runners tests/cli/test_real_tap.py \
	$(filter-out $(patsubst %,tests/laws/test_%.py,inputs workers),$(wildcard tests/laws/test_*.py)) \
	tests/conformance tests/attacks tests/cli/test_standard_streams.py $(patsubst %,tests/servers/test_%.py,errors injection many_loads)

# What is compiled once is kept, instead of being compiled by each of the processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

# Run a command of cargo, where there is a Rust that can build tailrace-native and the command is there.
define cargo
@if ! bash scripts/has-rust || ! cargo $(1) -h > /dev/null 2>&1; then echo "cargo $(1) can't be had here"; else \
	echo "cargo $(1) $(2)"; cd native; env -u MAKEFLAGS -u MFLAGS PYO3_PYTHON="$(CURDIR)/$(PYTHON)" cargo $(1) $(2); fi
endef

.PHONY: demo test counted ready check setup venv packages wheel decoder tap album programs servers hosted search services lint types unit native newest torture pictures bench clean

demo:                  ## load real data with a real tap into DuckDB, and show it
	$(AT_ONCE) decoder tap
	$(PYTHON) examples/demo.py

# What needs no server is looked at beside the first part, which is seen while it runs (+). The longest tests begin first.
test:                  ## everything: lint, types, all tests on real databases, branch coverage
	$(AT_ONCE) --jobs=3 ready
	$(AT_ONCE) counted types lint native
	PYTHONPATH=.work/album $(WHOLE) -n 4 --dist load --maxschedchunk 1 $(UNCOUNTED) examples/album

counted:
	$(PYTHON) -m coverage erase
	+$(WHOLE) -n 3 --dist worksteal --cov=tailrace --cov-branch --cov-report=term \
		$(addprefix --ignore ,$(UNCOUNTED)) tests

# Each as soon as what it needs is there; what cargo does takes longest.
ready: wheel packages programs services tap album decoder

check:                 ## what to run while working: lint, types, unit tests
	$(AT_ONCE) decoder
	$(AT_ONCE) unit types lint native

setup:                 ## .venv with everything that tests need in Python, and the native decoder
	$(AT_ONCE) decoder

venv:
	bash scripts/setup-venv

packages: venv
	$(BESIDE) bash scripts/setup-packages

wheel: venv
	env -u MAKEFLAGS -u MFLAGS bash scripts/build-native

decoder: packages wheel
	env -u MAKEFLAGS -u MFLAGS bash scripts/setup-decoder

tap: venv
	$(BESIDE) scripts/setup-tap

album: venv
	$(BESIDE) scripts/setup-album

programs: venv
	$(BESIDE) scripts/setup-programs

servers: packages
	$(BESIDE) scripts/setup-services

hosted: packages
	$(BESIDE) scripts/setup-hosted

search: servers
	$(BESIDE) scripts/setup-search

services: programs hosted search
	$(BESIDE) scripts/setup-suite

lint: packages wheel    # cargo has one of its commands wait for another, and takes what the other has compiled
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(call cargo,fmt,--check)
	$(call cargo,clippy,--quiet --release --all-targets -- -D warnings)

types: packages
	$(BIN)/mypy

unit: decoder
	$(PYTEST) -n 2 tests/unit tests/statements tests/house

native: wheel          ## the tests of tailrace-native's crate
	$(call cargo,test,--quiet --no-default-features)

newest: setup services ## conformance and laws on the newest of what can be had; writes docs/proven.json and .md
	$(PYTHON) -m services.mysql --newest
	$(PYTHON) -m services.postgres --newest
	PYTHONPATH=. $(PYTHON) tests/newest.py

torture: setup services       ## 200 kills a destination; writes tests/laws/TORTURE.md
	PYTHONPATH=. $(PYTHON) tests/laws/torture.py

pictures: setup services  ## writes tests/cli/pictures, what terminals show, anew
	TAILRACE_PICTURES=write $(PYTEST) tests/cli/test_pictures.py

bench: setup services  ## side by side with others; writes bench/RESULTS.md
	bench/rivals/setup
	$(PYTHON) bench/run.py

clean:
	rm -rf .venv .work .mypy_cache .ruff_cache .hypothesis
