# make run: set up what is missing and solve the five examples; make test: the same set-up, then every check.
# Theano's pins are for Python 3.11.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
EXAMPLES := $(sort $(wildcard examples/*/run.sh))

.PHONY: run test setup browser lint unit bench golden paths clean

run: setup
	@set -e; for script in $(EXAMPLES); do PATH="$(CURDIR)/$(BIN):$$PATH" bash $$script; done

test: setup lint unit

setup: $(BIN)/.ready
	@$(BIN)/convdiff backends install theano

# Rebuilt only when what is to be installed changes.
$(BIN)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[torch,tensorflow,jax,onnxruntime,scipy,dev]'
	@touch $@

# The one test of the HTML report in a real browser needs chromium, a system package, so it is asked for and not done unasked:
# without it that test is skipped, unless CONVDIFF_REQUIRE names chromium, as continuous integration does.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Ratios within one run.
bench: setup
	$(BIN)/python benchmarks/run.py

# Rewrites the golden files that the tests compare with; look at the difference before committing it.
golden: setup
	CONVDIFF_REFRESH=1 $(BIN)/python -m pytest tests/report tests/examples

# README's table of what was run where, for this machine.
paths: setup
	$(BIN)/python -m tests.dialects.paths_record

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
