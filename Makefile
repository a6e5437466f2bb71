VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-bench
SITE := .venv-docs
# The first python3 on the path that is 3.11 or newer; make PYTHON=/path/to/python3 selects another
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell $(name) -c \
	'import sys; sys.version_info < (3, 11) or print("$(name)")' 2>/dev/null)))
STUBS := clients/redrive/v1
MANIFESTS = $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))

.PHONY: help setup demo dashboard run test faults fuzz bench check audit coverage docs proto lock release clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.done ## Install all packages into .venv

demo: setup ## Send to 1,000 recipients through the sandbox, show the failures, resend one error type
	$(BIN)/python -m demo

dashboard: setup ## Start the dashboard on http://127.0.0.1:8080 with a server and example messages (PORT=8080)
	PORT=$(PORT) $(BIN)/python -m demo.dashboard

run: setup ## Start the server on 127.0.0.1:50051
	$(BIN)/redrive-server

test: setup ## Run all tests
	$(BIN)/pytest -n 3 --dist worksteal -m 'not alone'
	$(BIN)/pytest -m alone

faults: setup ## Run ROUNDS=10 rounds of crashes and faults from a random SEED, and check for lost or repeated messages
	GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.faults --rounds $(or $(ROUNDS),$(if $(SEED),1,10)) $(if $(SEED),--seed $(SEED))

fuzz: setup ## Send CALLS=20000 random requests to all rpcs, from a random SEED
	FUZZ_CALLS=$(or $(CALLS),20000) FUZZ_SEED=$(or $(SEED),$(shell date +%s)) $(BIN)/pytest tests/fuzz

bench: setup $(PEERS)/.done ## Compare with Celery, Dramatiq and Procrastinate in 25 minutes (OPTIONS=--quick for a short run, OPTIONS=--help)
	$(BIN)/python -m bench $(OPTIONS)
	$(PEERS)/bin/python -m bench.plot .bench/results.json .bench/performance.svg

check: setup ## Check style, types, imports, protos, stubs, security, secrets and the files in deploy/
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint
	$(BIN)/buf breaking --against $(wildcard protos/released/*)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(call generate,$$fresh) && \
		diff -rq -x __init__.py -x __pycache__ "$$fresh/redrive/v1" $(STUBS) || \
		{ echo '$(STUBS) differs from protos/: run make proto'; exit 1; }
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/python deploy/checks/plain_words.py
	$(BIN)/python deploy/checks/static.py
	$(BIN)/python deploy/checks/secret_scan.py
	$(BIN)/hadolint deploy/Containerfile
	$(BIN)/yamllint --strict --config-file deploy/.yamllint deploy examples .github .pre-commit-config.yaml \
		docs/site/mkdocs.yml buf.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml \
		.github/ISSUE_TEMPLATE/feature.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet $(MANIFESTS)
	@if command -v promtool >/dev/null; then \
		promtool check rules deploy/prometheus/alerts.yaml && promtool test rules deploy/prometheus/alerts.test.yaml; \
	else echo 'SKIPPED: the alert rules, because promtool is not installed. On Debian: apt-get install prometheus'; fi
	@$(MAKE) --no-print-directory audit

audit: setup ## Check the locked packages for known vulnerabilities in the package index
	$(BIN)/python deploy/checks/audit.py requirements.lock

coverage: setup ## Measure the coverage of domain and projections; below 95 % of statements and branches fails
	$(BIN)/coverage run -m pytest tests/domain tests/projections
	$(BIN)/coverage report

docs: setup $(SITE)/.done ## Build the documentation site in .site/html; a broken link fails
	$(BIN)/python -m docs.site.prepare
	cd .site && ../$(SITE)/bin/zensical build --clean --strict --config-file mkdocs.yml

proto: setup ## Generate the stubs in clients/ from protos/
	rm -f $(STUBS)/*_pb2*
	$(call generate,clients)

lock: ## Update requirements.lock, requirements-server.lock and those of bench/ and docs/site/ (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--no-emit-package redrive --group dev pyproject.toml -o requirements.lock
	echo 'setuptools>=77' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --no-emit-package redrive --constraint requirements.lock pyproject.toml - \
		-o requirements-server.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		bench/requirements.in -o bench/requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--group docs -o docs/site/requirements.lock

release: setup ## Show the steps of a release and what is left to do (VERSION=0.2.0: write the new version first)
	@$(BIN)/python deploy/release.py $(VERSION)

clean: ## Remove .venv, .venv-bench, .venv-docs and all generated files except the stubs
	rm -rf $(VENV) $(PEERS) $(SITE) .demo .demo-dashboard .bench .site .coverage build clients/build *.egg-info clients/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

generate = $(BIN)/python -m grpc_tools.protoc --proto_path=protos --plugin=$(BIN)/protoc-gen-mypy --plugin=$(BIN)/protoc-gen-mypy_grpc \
	--python_out=$(1) --mypy_out=quiet:$(1) --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) protos/redrive/v1/*.proto

$(VENV)/.done: requirements.lock pyproject.toml clients/pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Redrive needs Python 3.11 or newer. On Debian and Ubuntu: apt-get install python3 python3-venv'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Redrive needs Python 3.11 or newer, and $(PYTHON) is older: run make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo '$(PYTHON) lacks its venv module. On Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@echo 'Installing into $(VENV); this takes about a minute...'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		-e clients -e . # setuptools warns about editable installations
	@touch $@

$(PEERS)/.done: bench/requirements.lock | setup
	@echo 'Installing the task queues into $(PEERS)...'
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.lock
	@touch $@

$(SITE)/.done: docs/site/requirements.lock | setup
	@echo 'Installing the site generator into $(SITE)...'
	@$(PYTHON) -m venv $(SITE)
	@$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r docs/site/requirements.lock
	@touch $@
