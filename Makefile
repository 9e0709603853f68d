# One command each; every target installs what it needs, so none depends on another having been run by hand.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
CLUSTER ?= testbed

.PHONY: demo test unit lint bench conformance generate testbed-deps constraints clean
.DEFAULT_GOAL := unit

$(VENV)/.installed: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

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
	$(PYTEST) -m node

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

conformance: $(VENV)/.installed  ## energy of pods against the truth, beside other agents' formulas; writes docs/conformance.md
	PYTHONPATH=tests $(BIN)/python -m conformance docs/conformance.md

generate: $(VENV)/.installed  ## write the files that are made from code: crds/, docs/metrics-*.md, deploy/requirements/
	$(BIN)/python -m deploy.pins
	$(BIN)/python -m carbonaware_operator.api.crds crds
	$(BIN)/python -m carbonaware_operator.telemetry.reference docs/metrics-operator.md
	$(BIN)/python -m carbonaware_agent.serving.reference docs/metrics-agent.md

constraints:  ## pin the newest versions again, with hashes (needs pip-tools)
	pip-compile --quiet --all-extras --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .demo dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
