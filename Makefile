# Three commands of a fresh machine: make demo, make test, make bench. Each makes its own
# environment first, and makes it again when setup.py or constraints.txt has changed. Only pip and,
# for make runners, Maven and Go use the network.

PYTHON ?= python3
VENV ?= .venv
WORKSPACE ?= workspace
WORKERS ?= auto

BIN := $(VENV)/bin

# A Python that was named is not ignored because an environment of another one is there already.
ifneq ($(and $(filter-out file,$(origin PYTHON)),$(wildcard $(BIN)/python),\
  $(filter-out clean help,$(or $(MAKECMDGOALS),demo))),)
SERIES := -c 'import sys; print("%d.%d" % sys.version_info[:2])'
ifneq ($(shell $(PYTHON) $(SERIES)),$(shell $(BIN)/python $(SERIES)))
$(error $(VENV) is of Python $(shell $(BIN)/python $(SERIES)), $(PYTHON) is not: name another \
folder, as in make test PYTHON=$(PYTHON) VENV=.venv-other, or make clean first)
endif
endif

.PHONY: demo test bench runners readers prism lint format clean help

help:
	@echo "make demo [WORKSPACE=workspace]  make the demo's sources and a gated, tokenized mix of them"
	@echo "make test [WORKERS=auto]         lint, types and all tests"
	@echo "make bench [BENCH=...]           measure every stage beside peers: benchmarks/RESULTS.md, or .bench/results"
	@echo "make runners                     fetch Flink and an S3 server: their tests skip without"
	@echo "make prism                       build Prism with Go: its test skips without"
	@echo "make readers                     install trainers' own readers with torch: some gigabytes"
	@echo "make lint                        ruff and mypy alone"
	@echo "make format                      let ruff format the code"
	@echo "make clean                       delete $(VENV) and all caches; workspaces stay"
	@echo
	@echo "PYTHON=python3.12 with any of them names the Python ($(PYTHON)), VENV=... its environment ($(VENV))"

demo: $(VENV)/demo.installed
	$(BIN)/vineleaf demo --workspace "$(WORKSPACE)"

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# BENCH: further options, as in make bench BENCH="--small --stage bpe"; see python -m benchmarks --help.
# With them the results go to .bench/results, unless --output is among them: a trial is no record.
bench: $(VENV)/bench.installed
	$(BIN)/python -m benchmarks --output $(if $(BENCH),.bench/results,benchmarks) $(BENCH)

runners: $(VENV)/test.installed
	$(BIN)/python tests/runners/fetch_flink.py
	$(BIN)/python tests/stores/fetch_s3.py

readers: $(VENV)/test.installed
	$(BIN)/python tests/readers/fetch_readers.py

prism: $(VENV)/test.installed
	$(BIN)/python tests/runners/fetch_prism.py

lint: $(VENV)/test.installed
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(VENV)/test.installed
	$(BIN)/ruff format

# The package with what the demo (or the tests) need besides; the file says that pip has finished.
$(VENV)/%.installed: setup.py constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "Vineleaf needs Python 3.11 or 3.12: name one, as in make demo PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
