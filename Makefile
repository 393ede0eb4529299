# make run sets up an environment with all backends and solves the five examples; make test runs every check in it.
# Theano's environment needs Python 3.11.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
EXAMPLES := $(sort $(wildcard examples/*/run.sh))
# What `make lowest` runs: enough to load every module, read arrays, compute the reference, diagnose and print.
CORE_TESTS := tests/spec tests/numerics tests/arrays tests/manifest tests/verdict tests/report tests/cli \
	tests/diagnose/test_planted.py tests/dialects/test_conformance.py

.PHONY: run test setup browser lint unit lowest bench golden paths clean

run: setup
	@set -e; for script in $(EXAMPLES); do PATH="$(CURDIR)/$(BIN):$$PATH" bash $$script; done

test: setup lint unit

setup: $(BIN)/.ready
	@$(BIN)/convdiff backends install theano

# Rebuilt only when what is to be installed changes.
$(BIN)/.ready: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt \
		--editable '.[torch,tensorflow-cpu,jax,onnxruntime,scipy,dev]'
	@touch $@

# One test opens the HTML report in a real browser and needs chromium, a system package (apt-get, as root).  Without
# chromium that test is skipped, unless CONVDIFF_REQUIRE names it, as continuous integration does.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# The core tests with the lowest version of each dependency that pyproject.toml declares, and no framework.
lowest: $(LOWEST)/.ready
	CONVDIFF_REQUIRE= $(LOWEST)/bin/python -m pytest -n 2 --dist loadgroup $(CORE_TESTS)

$(LOWEST)/.ready: pyproject.toml .ci/constraints.txt tests/packaging/lowest_versions.py
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python tests/packaging/lowest_versions.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt \
		--editable . pytest pytest-xdist hypothesis jsonschema xmlschema pyyaml
	@touch $@

# Ratios within one run.
bench: setup
	$(BIN)/python benchmarks/run.py

# Rewrites the golden files that the tests compare with; look at the difference before you commit it.
golden: setup
	CONVDIFF_REFRESH=1 $(BIN)/python -m pytest tests/report tests/examples

# Prints the table of execution paths in CONTRIBUTING.md for this machine.
paths: setup
	$(BIN)/python -m tests.dialects.paths_record

clean:
	rm -rf $(VENV) $(LOWEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis
