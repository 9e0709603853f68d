# One command each; every target installs what it needs, so none depends on another having been run by hand.
# The first of these that is new enough. The pins resolve for 3.11 to 3.14; tests run on the one found.
NEW_ENOUGH = import sys; sys.version_info >= (3, 11) and print(sys.executable)
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell $(name) -c '$(NEW_ENOUGH)' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
CLUSTER ?= testbed

.PHONY: try demo test install-check unit lint release-check bench conformance generate testbed-deps constraints clean
.DEFAULT_GOAL := unit

$(VENV)/.installed: constraints.txt pyproject.toml
	$(or $(PYTHON),$(error there is no Python 3.11 or newer; name one with `make PYTHON=/path/to/python3`)) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

TRY := .try
SIMULATE := PYTHONPATH=operator $(TRY)/bin/python -m carbonaware_operator.cli.main simulate

$(TRY)/.installed: deploy/requirements/cli.txt
	@echo "1 of 2  a virtual environment in $(TRY)"
	@rm -rf $(TRY) && $(or $(PYTHON),$(error there is no Python 3.11 or newer; name one with `make try PYTHON=/path/to/python3`)) -m venv $(TRY)
	@echo "2 of 2  the command line's packages, pinned (33 MB)"
	@$(TRY)/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary :all: --require-hashes -r $<
	@touch $@

try: $(TRY)/.installed  ## when jobs would start, without a cluster; your own: make try JOB=job.yaml ZONE=gb
ifdef JOB
	@$(SIMULATE) -f $(JOB) $(if $(ZONE),--zone $(ZONE))
else
	@echo; echo "== The examples, on the recorded day of their own zone"; echo
	@$(SIMULATE) -f examples --start 2026-12-01T17:00:00Z
	@echo; echo "== Jobs of a real day, on the typical day of Germany"; echo
	@$(SIMULATE) -f examples/simulate --start 2026-12-01T17:00:00Z
	@echo; echo "Your own: make try JOB=job.yaml ZONE=gb   On a real Kubernetes: make demo"
endif

testbed-deps: $(VENV)/.installed  ## install the Debian packages that a real node needs (asks for root; without it the node is simulated)
	$(BIN)/python -m testbed deps

demo: testbed-deps  ## five jobs through a recorded day, on a real cluster, in three minutes
	$(BIN)/python -m testbed.demo --cluster $(CLUSTER)

unit: $(VENV)/.installed  ## pure tests, seconds
	$(PYTEST) -q -n auto -m "not api and not node and not slow" --hypothesis-profile=quick

# By level, so that each can be spread: there are many API servers at a time, but one real node.
test: testbed-deps lint  ## every level of test that this machine can run
	$(PYTEST) -q -n auto -m "not api and not node"
	$(PYTEST) -n 2 -m "api and not node"
	$(PYTEST) -m "node and not install"

install-check: testbed-deps  ## the chart on a real node: install, upgrade, fail over, uninstall; by Helm 4 and Helm 3
	$(PYTEST) -s -m node tests/install

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

conformance: $(VENV)/.installed  ## energy of pods against the truth, beside other agents' formulas; writes docs/conformance.md
	PYTHONPATH=tests $(BIN)/python -m conformance docs/conformance.md

generate: $(VENV)/.installed  ## write what is made from code: crds/, docs/metrics-*.md, deploy/requirements/, the chart
	$(BIN)/python -m deploy.pins
	$(BIN)/python -m carbonaware_operator.api.crds crds
	$(BIN)/python -m carbonaware_operator.telemetry.reference docs/metrics-operator.md
	$(BIN)/python -m carbonaware_agent.serving.reference docs/metrics-agent.md
	$(BIN)/python -m deploy.chart
	$(BIN)/python -m deploy.monitoring

release-check: $(VENV)/.installed  ## build everything that is released into dist/, and check it
	$(BIN)/python -m deploy.release $(if $(BASE_URL),--base-url $(BASE_URL))

constraints:  ## pin the newest versions again, with hashes (needs pip-tools)
	pip-compile --quiet --all-extras --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) $(TRY) .demo dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
