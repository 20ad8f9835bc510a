# Needs make and a Python of the right version, nothing else. Runs with GNU make 3.81 (macOS) too.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
# Twice quiet: errors only.
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet --quiet

# What is in $(VENV): the packages of a lock, the project itself, the test tools.
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.testable

# The Python that makes $(VENV); by default the first that fits, the machine's own first.
BASE_PYTHON ?=
CANDIDATES := $(if $(BASE_PYTHON),$(BASE_PYTHON),python3 python3.13 python3.12 python3.11 python)
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# Ends with the fitting Python's name in $$python, or with the reason why there is none.
FIND_PYTHON = fits=; for python in $(CANDIDATES); do \
		"$$python" -c '$(FITS)' >/dev/null 2>&1 || continue; \
		fits=$$python; \
		"$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && break; \
	done; \
	if [ -z "$$fits" ]; then \
		echo "No Python 3.11, 3.12 or 3.13 found (looked for: $(CANDIDATES)). Install one, or name it: make BASE_PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	python=$$fits; \
	if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		echo "$$python cannot make environments. Install its venv module (Debian, Ubuntu: apt install python3-venv), or name another: make BASE_PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi

UV_VERSION := 0.13.8
# CUDA belongs to torch's GPU wheels: pip takes it with them, and only with them.
NOT_LOCKED := ^(cuda-|nvidia-|triton=)
COMPILE := pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--annotation-style line --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock' pyproject.toml $(if $(UPGRADE),--upgrade)

.PHONY: help demo ui test lint lock clean clean-data

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## Sample input, every pipeline over it, two experiments, a summary
	@$(PYTHON) -m embedding_assets.demo

ui: $(INSTALLED) ## Open Dagster and MLflow on local ports
	@$(PYTHON) -m embedding_assets.ui

test: $(TESTABLE) ## Run every test
	@$(PYTHON) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(TESTABLE) ## Check style, format and types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

lock: ## Write both lock files anew; UPGRADE=1 takes the newest versions
	@$(FIND_PYTHON); \
	tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && set -e; \
	"$$python" -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check --quiet --quiet install uv==$(UV_VERSION); \
	"$$tools/bin/uv" $(COMPILE) --extra test --output-file requirements-test.lock >/dev/null; \
	"$$tools/bin/uv" $(COMPILE) --constraint requirements-test.lock --output-file requirements.lock >/dev/null; \
	for lock in requirements-test.lock requirements.lock; do \
		sed -E '/$(NOT_LOCKED)/d; s/, -c requirements-test.lock//' $$lock > "$$tools/lock"; \
		cp "$$tools/lock" $$lock; \
	done

clean: ## Remove the environment and all caches; keeps input and results
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: ## Remove the sample input, every result and the run history
	rm -rf data/input data/store
	find data/dagster -mindepth 1 ! -name dagster.yaml -prune -exec rm -rf {} + 2>/dev/null || true

.venv: $(INSTALLED)

# An environment is made anew when the lock's content has changed, so that nothing old stays in it.
$(LOCKED): requirements.lock
	@if cmp -s $< $@; then touch $@; exit 0; fi; \
	$(FIND_PYTHON); \
	echo "Making $(VENV) with $$("$$python" --version); this takes 2 to 4 minutes ..." >&2; \
	rm -rf $(VENV) && "$$python" -m venv $(VENV)
	@test -e $@ || $(PIP) install --constraint $< torch
	@test -e $@ || $(PIP) install --no-deps --requirement $<
	@test -e $@ || cp $< $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@broken=$$($(PYTHON) -m pip check) || { echo "$$broken" >&2; exit 1; }
	@touch $@

$(TESTABLE): requirements-test.lock $(INSTALLED)
	@$(PIP) install --no-deps --requirement $<
	@broken=$$($(PYTHON) -m pip check) || { echo "$$broken" >&2; exit 1; }
	@touch $@
