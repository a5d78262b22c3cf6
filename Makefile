# robojam, from a fresh clone. Needs python3 (3.11 or newer) with venv and pip. Everything is
# installed in .venv: once, and again only when pyproject.toml or constraints.txt change.

PYTHON ?= python3
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help jam test lint types bench docs clean venv

help:  ## show this list
	@echo "robojam: a musical partner for a touch surface"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile
	@echo "Give options in ARGS, for example: make jam ARGS='--mode duet'"

jam: .venv/.runtime  ## set up robojam and start a jam
	@exec .venv/bin/robojam jam $(ARGS)

test: .venv/.dev  ## set up robojam and run the tests
	@exec .venv/bin/python -m pytest $(ARGS)

lint: .venv/.dev  ## check the code for mistakes and its format
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .

types: .venv/.dev  ## check the types
	.venv/bin/python -m mypy

bench: .venv/.runtime  ## measure latency, timing and CPU use on this machine
	@exec .venv/bin/robojam bench $(ARGS)

docs: .venv/.docs  ## build the site of the documentation in build/site
	.venv/bin/python docs/stage.py build/pages
	.venv/bin/zensical build --strict

clean:  ## remove .venv, caches and built files
	rm -rf .venv build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# .venv is made again when its setup was interrupted (.incomplete exists during the setup), when
# the checkout has moved (the scripts in .venv contain its path), or when its Python is gone.
STALE := $(shell test -x .venv/bin/python && test ! -e .venv/.incomplete && \
	{ test ! -e .venv/.place || test "$$(cat .venv/.place)" = "$$(pwd -P)"; } || echo stale)

venv:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "robojam needs Python 3.11 or newer, but $(PYTHON) was not found." >&2; \
	  echo "Name another Python, for example: make jam PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "robojam needs Python 3.11 or newer, but this is $$("$(PYTHON)" --version 2>&1)." >&2; \
	  echo "Name another Python, for example: make jam PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make a virtual environment: its venv or pip is missing." >&2; \
	  echo "On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.maxsize < 2**32)' || { \
	  echo "robojam needs a 64-bit Python: there are no packages of numpy and others for this one." >&2; \
	  exit 1; }
	@echo "Setting up .venv. This is done once."
	@rm -rf .venv 2>/dev/null && mkdir .venv 2>/dev/null && touch .venv/.incomplete || { \
	  echo "robojam cannot write in $$PWD: is it yours, and is there room on the disk?" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv || { \
	  echo "No environment could be made in $$PWD/.venv (is the disk full?); then run make again." >&2; \
	  exit 1; }

# Only a GPU needs PyTorch.
GPU_EXTRA = $$(.venv/bin/python -c "from robojam.player.devices import may_have; \
	print('[train]' if may_have('cuda') or may_have('mps') else '')")

.venv/.runtime: pyproject.toml constraints.txt $(if $(STALE),venv)
	$(call install,.$(GPU_EXTRA))
	@touch .venv/.runtime

.venv/.dev: pyproject.toml constraints.txt $(if $(STALE),venv)
	$(call install,.[dev])
	@touch .venv/.runtime .venv/.dev

.venv/.docs: pyproject.toml constraints.txt $(if $(STALE),venv)
	$(call install,.[docs])
	@touch .venv/.docs

# The two variables also pin the build backend: older versions of pip read the first, newer ones
# the second. Their values must not contain spaces, so they are relative paths.
# When pip fails by itself (no network), the contents of a .venv that worked before are still
# complete. In a new one, and when pip is interrupted, they may not be, and .incomplete stays.
define install
	@touch .venv/.incomplete
	@trap 'exit 130' INT TERM; what="$(1)"; \
	if [ "$$what" != . ]; then echo "PyTorch is large and takes a while to download."; fi; \
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --no-compile --editable "$$what" || { \
	  if test -e .venv/.runtime; then rm -f .venv/.incomplete; fi; \
	  echo "robojam could not be set up; see the message of pip above, then run make again." >&2; exit 1; }
	@pwd -P > .venv/.place
	@rm -f .venv/.incomplete
endef
