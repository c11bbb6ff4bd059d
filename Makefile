# `make demo` and `make test` do all their own set-up on a Debian 12 machine, as root, and can be run again.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

.PHONY: help setup demo test unit crash kill bench lint format lock client man clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/ready ## Debian packages and the virtual environment

.venv/ready: pyproject.toml requirements.lock tests/lab/setup-machine tests/lab/packages.txt
	tests/lab/setup-machine .venv
	touch $@

demo: setup ## Build the reference bundle, install it on a lab host without a network, use it
	$(PYTHON) -m tests.e2e.demo

test: setup ## Every test, from unit to end to end
	$(PYTHON) -m pytest -n 2 --dist loadfile

unit: setup ## The fast tests only
	$(PYTHON) -m pytest -n 2 --dist loadfile tests/unit

crash: setup ## Installs, upgrades, rollbacks killed at each record and 200 instants; 200 failing writes (hours)
	SEALIFT_KILLS=200 SEALIFT_FAULTS=200 $(PYTHON) -m pytest -n 2 --log-cli-level=INFO tests/e2e/test_crash.py \
		tests/e2e/test_write_faults.py

kill: setup ## The management server killed at random during 500 calls, on one node and on two (minutes)
	SEALIFT_KILL_CALLS=500 $(PYTHON) -m pytest -s tests/unit/management/test_work.py -k killed

bench: setup ## Bundles, mirrors, upgrades, installs, the server beside their peers (makeself and zstd must be installed)
	$(PYTHON) -m tests.bench.bundle
	$(PYTHON) -m tests.bench.mirror
	$(PYTHON) -m tests.bench.upgrade
	$(PYTHON) -m tests.bench.install
	$(PYTHON) -m tests.bench.server

lint: setup ## Linters, types, import contracts
	$(PYTHON) -m pytest tests/contract

format: setup ## Format the sources
	.venv/bin/ruff check --fix-only . && .venv/bin/ruff format .

lock: setup ## Lock the development environment anew
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --output-file requirements.lock pyproject.toml
	.venv/bin/uv pip compile --quiet --python-version 3.13 --python-platform x86_64-manylinux_2_17 --only-binary :all: \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --output-file builder/portable/requirements.txt \
		builder/portable/requirements.in

client: setup ## Write the management server's typed client anew, from the server's classes
	mkdir -p build
	$(PYTHON) -m management.server.clientcode > build/messages.py
	.venv/bin/ruff format --quiet build/messages.py && mv build/messages.py management/client/messages.py

man: setup ## Manual pages of sealift and NAME-ctl, into build/man
	$(PYTHON) -m tests.manpages build/man

clean: ## What was built here (the caches of other checkouts stay)
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
