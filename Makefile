# Modelport. `make help` lists the targets; each brings what it needs and repeats nothing that is done already.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MODELPORT_CACHE ?= $(HOME)/.cache/modelport
export MODELPORT_CACHE
UV_VERSION := 0.13.9
UV := $(MODELPORT_CACHE)/uv-$(UV_VERSION)/bin/uv
VENV := .venv/.synced
RUN := $(UV) run --frozen --no-sync
API_BINARIES := etcd kube-apiserver kube-controller-manager kubectl helm

.PHONY: help demo demo-down test unit lint generate check cluster cluster-down images e2e e2e-long mutants bench run setup api-binaries

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(UV):
	@echo "==> uv $(UV_VERSION)" >&2
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed as python3" >&2; exit 1; }
	@python3 -m venv $(@D)/.. || { echo "python3 has no venv module: apt-get install python3-venv" >&2; exit 1; }
	@$(@D)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV): $(UV) uv.lock pyproject.toml agent/pyproject.toml runtime/pyproject.toml
	@echo "==> Python environment (.venv)" >&2
	@$(UV) sync --frozen --all-packages --quiet
	@touch $@

setup: $(VENV)

api-binaries: $(VENV)
	@$(RUN) python -m e2e.cluster binaries $(API_BINARIES)

demo: $(VENV) ## start a real Kubernetes, install the operator, serve one model per runtime, print their answers
	@$(RUN) python -m e2e.demo

demo-down: $(VENV) ## take away everything that demo, cluster and e2e started
	@$(RUN) python -m e2e.cluster down

test: lint api-binaries ## lint, types, import rules, generated files, unit tests, and tests on a real kube-apiserver
	@$(RUN) pytest -m "not long"

unit: $(VENV) ## the tests that need no API server (seconds)
	@$(RUN) pytest -q -m "not apiserver and not long"

lint: check ## format, lint, types, import rules
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports

generate: $(VENV) ## make the committed generated files anew: CRD, chart's copy, reference, reasons, metrics, diagnosis
	@$(RUN) python -m modelport.api.generate
	@$(RUN) python -m modelport.app.generate
	@$(RUN) python -m tests.state.page
	@$(RUN) python -m modelport.runtimes.schema.generate
	@$(RUN) python -m modelport.render.mergekeys.generate
	@$(RUN) python charts/sync_crd.py

check: generate ## generate, and the tree stays clean
	@git diff --exit-code --stat -- crds charts docs operator || { echo "generated files differ from the committed ones: commit what 'make generate' wrote" >&2; exit 1; }

cluster: $(VENV) ## start the real Kubernetes (or check the one in KUBECONFIG)
	@$(RUN) python -m e2e.cluster up

cluster-down: $(VENV) ## stop it and leave no trace
	@$(RUN) python -m e2e.cluster down

images: $(VENV) ## build the images of operator, agent, runtime, and the CPU images of Triton and vLLM
	@$(RUN) python -m e2e.images build

e2e: $(VENV) ## everything on the real cluster: one of each
	@$(RUN) python -m e2e.stack up
	@$(RUN) pytest -s e2e/tests -m "not long"

e2e-long: $(VENV) ## repeats and soaks: faults, many times in a row (REPEAT: options, see python -m tests.repeat --help); the real cluster
	@$(RUN) python -m tests.repeat $(REPEAT)
	@$(RUN) pytest -s -m long tests --ignore=tests/faults
	@$(RUN) python -m e2e.stack up
	@$(RUN) pytest -s e2e/tests

mutants: api-binaries ## break each layer on purpose: a named test has to notice
	@$(RUN) python -m tests.mutants

bench: api-binaries ## what the operator costs, beside a null operator (BENCH: options, see e2e/bench/README.md)
	@$(RUN) python -m e2e.bench $(BENCH)

run: $(VENV) ## the operator on the cluster in your KUBECONFIG, from this checkout
	@$(RUN) modelport run
