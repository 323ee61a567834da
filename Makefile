# The two commands that matter: `make demo` and `make test`. Both set everything up in .venv and .local.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# make test TESTS=tests/link runs a part
TESTS ?=
VENV := .venv
PY := $(VENV)/bin/python
STRICT := agent link local cli workloads/specs access/grants.py

.DEFAULT_GOAL := help
.PHONY: help venv assets machine demo test test-long lint format bench down

help:  ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv:  ## Python packages, with the hashes of requirements/dev.txt, in .venv
	@want=$$(cat requirements/dev.txt pyproject.toml | sha256sum | cut -d' ' -f1); \
	if [ "$$(cat $(VENV)/.installed 2>/dev/null)" != "$$want" ]; then \
		echo "== Python packages into $(VENV) (a few minutes the first time)"; set -e; \
		[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is missing" >&2; exit 1; }; \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'; \
		[ -x $(PY) ] || $(PYTHON) -m venv $(VENV); \
		$(PY) -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements/dev.txt; \
		PYTHONWARNINGS=ignore $(PY) -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation \
			--config-settings editable_mode=compat -e . 2>$(VENV)/editable.log || { cat $(VENV)/editable.log >&2; exit 1; }; \
		$(PY) -m pip check >/dev/null; \
		echo "$$want" > $(VENV)/.installed; \
	fi

assets: venv  ## Browser assets of the console, from npm
	@$(PY) -m local assets

machine: venv  ## Debian packages (as root) and the Kubernetes programs, built once per machine
	@$(PY) -m local machine

demo: venv assets  ## The whole system on this machine; Ctrl-C stops it all
	@$(PY) -m local demo

down:  ## Stop whatever an earlier demo or `python -m local up` left running
	@$(PY) -m local down

test: venv assets machine  ## The whole suite
	@echo "== tests"
	@$(PY) -m pytest -m "not long" $(TESTS) || { \
		echo "== once more, only what failed: real processes on a busy machine may be late once, a defect fails again"; \
		$(PY) -m pytest -m "not long" --last-failed --last-failed-no-failures none $(TESTS); }

test-long: venv assets machine  ## Campaigns too: all faults and seeds, full fuzz, load
	@echo "== tests and campaigns"
	@RUNAI_TEST_LONG=1 $(PY) -m pytest $(TESTS)

lint: venv  ## Format, style, types, directions of imports
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy --strict $(STRICT)
	$(VENV)/bin/lint-imports

format: venv  ## Put everything into the house format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: venv assets machine  ## The main benchmark, one JSON object a line
	@$(PY) -m bench main --json
