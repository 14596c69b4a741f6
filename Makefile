# Each target does its own set-up. `make demo` and `make test` are all a newcomer needs.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
NPM := $(CURDIR)/.venv/bin/npm
WEB := central_portal/web
WEB_SOURCES := $(shell find $(WEB) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/src/gql/*' 2>/dev/null) central_portal/api/schema.graphql
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo demo-check test check bench chaos setup web wheel format

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: setup web ## Run the whole federation here; DATA=folder serves that folder
	@$(PY) -m deploy.demo run $(if $(DATA),--data "$(DATA)")

demo-check: setup web ## Take the whole journey without a screen; DATA=folder on that data, COMPUTE=slurm or kubernetes on a cluster (as root)
	@$(if $(COMPUTE),$(PY) -m tests.ground $(COMPUTE)) $(PY) -m deploy.demo check $(if $(DATA),--data "$(DATA)")

test: setup web ## Every test this machine can run; lists what it skipped and why
ifdef PYTEST
	$(PY) -m deploy.setup.ordinary_user $(PY) -m pytest $(PYTEST)
else
	$(PY) -m deploy.setup.ordinary_user $(PY) -m pytest --ignore=tests/e2e --ignore=tests/privileged
	$(PY) -m deploy.setup.ordinary_user $(PY) -m pytest tests/e2e
	$(PY) -m pytest tests/privileged
endif

check: setup web ## Lint, types, import directions, generated files, client checks
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	$(PY) proto/generate.py --check
	$(PY) -m deploy.setup.reference --check
	$(PY) -m tests.architecture.size_report
	cd $(WEB) && $(NPM) run --silent check && $(NPM) test --silent && $(NPM) run --silent size

bench: setup web ## Figures, each beside a floor measured in the same run
ifeq ($(filter kubernetes slurm,$(BENCH)),)
	$(PY) -m deploy.setup.ordinary_user $(PY) -m tests.benchmarks $(BENCH)
endif
ifneq ($(filter slurm,$(or $(BENCH),slurm)),)
	$(PY) -m tests.benchmarks slurm
endif
ifneq ($(filter kubernetes,$(or $(BENCH),kubernetes)),)
	$(PY) -m tests.benchmarks kubernetes
endif

wheel: setup web ## What operators install: dist/parasol_portal-….whl, the web client within
	@$(PY) -m pip wheel --quiet --no-deps -w dist .
	@ls dist/*.whl

chaos: setup ## Kill, freeze, cut off and fill up what runs under load, each fault many times (15 min)
	$(PY) -m deploy.setup.ordinary_user $(PY) -m tests.chaos $(CHAOS)

format: setup ## Format the Python code
	.venv/bin/ruff check --fix . && .venv/bin/ruff format .

setup: .make/python

.make/python: pyproject.toml constraints.txt deploy/setup/venv.sh
	@mkdir -p .make
	@echo "Setting up Python in .venv …"
	@deploy/setup/venv.sh
	@$(PY) -m pip install --quiet --use-pep517 -c constraints.txt -e '.[dev]'
	@touch $@

web: .make/web

.make/node: $(WEB)/package-lock.json .make/python
	@echo "Installing the web client's packages …"
	@cd $(WEB) && $(NPM) ci --loglevel=error --no-audit --no-fund
	@touch $@

.make/web: .make/node $(WEB_SOURCES)
	@echo "Building the web client …"
	@cd $(WEB) && $(NPM) run --silent build
	@touch $@
