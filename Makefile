# Everything here needs Python 3.11 or newer and make; the rest is installed into .venv.

PYTHON ?= python3
VENV ?= .venv
# How many tests run at once: three for two cores, since many wait for a program that they started. 0 is one after
# another in one process, as a debugger needs it.
WORKERS ?= $(shell echo $$(( ($$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))
# Tests start hundreds of programs: what these import is compiled once.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# Whose release it is; names of nobody are enough to see what it would be made of.
REPOSITORY ?= https://github.com/example/durable-functions-exporter
IMAGE ?= registry.example/example/durable-functions-exporter
NAMING_IMAGES := Dockerfile compose.yaml .github/workflows/ci.yml docs/container.md

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit proofs image-test incident-test nightly bench docs site release lock images clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN_STAMP) ## Emulator and exporter in one process, with a page to look at
	@$(BIN)/durable-exporter demo

test: lint types unit ## Lint, type checks and all tests of the default run

lint: $(DEV_STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	@$(BIN)/mypy

unit: $(DEV_STAMP)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal $(PYTEST_ARGS)

proofs: $(DEV_STAMP) ## What takes minutes to prove: crashes, mutants, shards, dashboards
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal -m "proof and not nightly"

image-test: $(DEV_STAMP) ## Build the container image and run it (as root; needs buildah and podman)
	@$(BIN)/python -m pytest -m image tests/image

incident-test: $(DEV_STAMP) ## Play every alert's cause to a real Prometheus and Alertmanager (minutes)
	@$(BIN)/python -m pytest -m incident tests/real/incidents

nightly: $(DEV_STAMP) ## The long proofs
	@$(BIN)/python -m pytest -m nightly

bench: $(DEV_STAMP) ## Speed and memory, as ratios of one run
	@$(BIN)/python -m bench

docs: $(DEV_STAMP) ## Regenerate the reference pages
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m grafana
	@$(BIN)/python -m helm

site: $(DEV_STAMP) ## Build the documentation as a site, into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "build/site/index.html"

release: $(DEV_STAMP) ## Make the files of a release, into dist/; publishes nothing
	@$(BIN)/python -m release --repository $(REPOSITORY) --image $(IMAGE)
	@cat dist/SHA256SUMS

lock: ## Resolve and lock the dependencies again (needs uv)
	uv pip compile pyproject.toml --extra azure --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links -o requirements.lock
	uv pip compile pyproject.toml --extra azure --group dev --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links -c requirements.lock -o requirements-dev.lock
	uv pip compile pyproject.toml --extra azure --group chart --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links -c requirements-dev.lock -o requirements-chart.lock
	uv pip compile --group release --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links -c requirements-dev.lock -o requirements-release.lock
	printf 'hatchling\neditables\n' | uv pip compile - --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links -c requirements-dev.lock -o requirements-build.lock

images: ## Pin the images of others by the digest that their tag has today (needs skopeo)
	@set -e; for image in $$(sed -E 's/@.*//; /^(#|$$)/d' images.lock); do \
		digest=$$(skopeo inspect --no-tags --format '{{.Digest}}' "docker://$$image"); \
		echo "$$image@$$digest"; \
		sed -E -i "s#(^|[^[:alnum:]./-])$$image(@sha256:[0-9a-f]{64})?([^[:alnum:].@-]|\$$)#\1$$image@$$digest\3#g" \
			images.lock $(NAMING_IMAGES); \
	done

clean: ## Remove what the other targets installed
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): $(VENV)/bin/python requirements.lock requirements-build.lock pyproject.toml
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.lock
	@echo "Installing the locked development dependencies into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
