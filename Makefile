# Every target sets up what it needs. `make demo` and `make test` are all a newcomer has to know.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help demo up status down test unit chart controlplane e2e lint format bench images docs lock generate

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PYTHONPATH := operator:.
export CLUSTER ?= auto
# 1 adds inference, tracking, columns and what watches them to the facility of `up` and `demo`.
export SERVICES ?= 0

help: ## Show this
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements/test.txt
	@bash tests/cluster/python.sh "$(PYTHON)" "$(VENV)"
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/test.txt
	touch $@

demo: $(READY) ## Bring the facility up and turn real CMS events into a plot (SERVICES=1 shows more)
	$(BIN)/python -m tests.demo

up: $(READY) ## Bring up a cluster (CLUSTER=auto|kind|current|embedded) with casita on it
	$(BIN)/python -m tests.cluster up
	$(BIN)/python -m tests.facility install

status: $(READY) ## Tell what is running
	$(BIN)/python -m tests.cluster status

down: $(READY) ## Take the cluster down and leave nothing behind
	$(BIN)/python -m tests.cluster down

images: $(READY) ## Build the images
	$(BIN)/python -m tests.cluster images

test: lint unit chart controlplane e2e ## Run every test; a cluster that was not up before is taken down

unit: $(READY)
	$(BIN)/python -m pytest tests/unit

chart: $(READY)
	$(BIN)/python -m pytest tests/chart

controlplane: $(READY)
	$(BIN)/python -m pytest tests/controlplane

e2e: export SERVICES = 1
e2e: $(READY)
	if ! $(BIN)/python -m tests.cluster status --quiet; then
	  trap '$(BIN)/python -m tests.cluster down' EXIT
	fi
	$(MAKE) --no-print-directory up
	$(BIN)/python -m pytest tests/e2e

lint: $(READY) ## Check style, types, layers, links of the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --quiet --strict

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(READY) ## Measure against the budgets; longer than a test run
	$(BIN)/python -m tests.performance

generate: $(READY) ## Write what is generated: CRD, values schema, reference pages, dashboards
	$(BIN)/python -m casita.api.crd --write charts/casita/charts/operator/files/analysissession-crd.yaml
	$(BIN)/python -m casita.api.reference --write docs/reference/analysissession.md
	$(BIN)/python -m casita.operator.metrics_reference --write docs/reference/metrics.md
	$(BIN)/python -m tests.chart.values_schema
	$(BIN)/python -m tests.chart.values_reference
	$(BIN)/python -m tests.chart.dashboards
	$(BIN)/python -m tests.chart.rules_reference

docs: $(READY) ## Build the documentation site under build/docs
	$(BIN)/mkdocs build --strict

lock: $(READY) ## Resolve the dependencies anew
	$(BIN)/python -m pip install --quiet uv
	compile() { $(BIN)/uv pip compile --quiet --generate-hashes --no-annotate --no-header pyproject.toml "$$@"; }
	compile --universal --python-version 3.11 --extra test --output-file requirements/test.txt
	compile --python-version 3.13 --extra operator --output-file requirements/operator.txt
	compile --python-version 3.13 --extra hub --output-file requirements/hub.txt
	compile --python-version 3.13 --extra tracking --output-file requirements/mlflow.txt
	compile --python-version 3.13 --extra dask requirements/notebook.in --output-file requirements/notebook.txt
	compile --python-version 3.13 --extra dask requirements/analysis.in --constraint requirements/notebook.txt --output-file requirements/analysis.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-annotate --no-header --no-deps --python-version 3.13 requirements/triton.in --constraint requirements/analysis.txt --output-file requirements/triton.txt
	for part in app codegen finders transformer; do
	  $(BIN)/uv pip compile --quiet --generate-hashes --no-annotate --no-header --python-version 3.13 requirements/servicex-$$part.in --output-file requirements/servicex-$$part.txt
	done
