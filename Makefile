# robojam, from a fresh clone. Needs python3 (3.11 or newer) with venv and pip.
# Everything is set up in .venv, once: again only when pyproject.toml or constraints.txt change.

PYTHON ?= python3
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help jam test lint types bench clean anew

help:  ## what there is to make (this)
	@echo "robojam: a partner to jam with on a touch surface"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile
	@echo "Options go in ARGS, as in: make jam ARGS='--mode duet'"

jam: .venv/.runtime  ## set up robojam and open the jam
	@exec .venv/bin/robojam jam $(ARGS)

test: .venv/.dev  ## set up robojam and pass the tests
	@exec .venv/bin/python -m pytest $(ARGS)

lint: .venv/.dev  ## look for mistakes and untidy code
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .

types: .venv/.dev  ## check the types
	.venv/bin/python -m mypy

bench: .venv/.runtime  ## measure latency, timing and CPU use on this machine
	@exec .venv/bin/robojam bench $(ARGS)

clean:  ## remove .venv, caches and built files
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv is made anew when it was torn (.torn stands while something works on it), when
# the checkout has moved (its scripts hold paths), and when its Python is gone.
STALE := $(shell test -x .venv/bin/python && test ! -e .venv/.torn && \
	{ test ! -e .venv/.place || test "$$(cat .venv/.place)" = "$$(pwd -P)"; } || echo stale)

anew:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "robojam needs Python 3.11 or newer, and $(PYTHON) is not here." >&2; \
	  echo "Another one can be named: make jam PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "robojam needs Python 3.11 or newer, and this is $$("$(PYTHON)" --version 2>&1)." >&2; \
	  echo "Another one can be named: make jam PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python makes no virtual environments, for its venv or pip is missing." >&2; \
	  echo "On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Setting up .venv. This is done once; PyTorch is large and may take a while."
	@rm -rf .venv && mkdir .venv && touch .venv/.torn
	@"$(PYTHON)" -m venv .venv

.venv/.runtime: pyproject.toml constraints.txt $(if $(STALE),anew)
	$(call install,.)
	@touch .venv/.runtime

.venv/.dev: pyproject.toml constraints.txt $(if $(STALE),anew)
	$(call install,.[dev])
	@touch .venv/.runtime .venv/.dev

# The two variables pin the build backend as well: older pips read the first for it, newer
# ones the second. Their values must be free of spaces, so they are relative.
# When pip fails by itself (no network) what there was still stands; when it is interrupted
# nobody knows, and .torn stays.
define install
	@touch .venv/.torn
	@trap 'exit 130' INT TERM; \
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --editable '$(1)' || { \
	  rm -f .venv/.torn; \
	  echo "robojam could not be set up; what pip says is above. Then: make again." >&2; exit 1; }
	@pwd -P > .venv/.place
	@rm -f .venv/.torn
endef
