# What a person types. Every target sets up what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# A thousand processes that each compile the project anew would take minutes of the tests.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run demo test test-vllm test-systemd lint check bench docs site charts package clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/run.stamp: pyproject.toml constraints.txt scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup run $(VENV)

$(VENV)/test.stamp: pyproject.toml constraints.txt scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup test $(VENV)

$(VENV)/release.stamp: pyproject.toml constraints.txt scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup release $(VENV)

run: $(VENV)/run.stamp ## Start the agent on what this machine has (ARGS="..." are passed on)
	@$(BIN)/evenwatt run $(ARGS)

demo: $(VENV)/run.stamp ## Start the agent on simulated readings
	@$(BIN)/evenwatt demo $(ARGS)

test: $(VENV)/test.stamp ## Run all tests
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

test-systemd: $(VENV)/test.stamp $(VENV)/release.stamp ## Install the package in a real systemd, in a container (needs root)
	@$(BIN)/python -m pytest -m systemd tests/systemd $(ARGS)

test-vllm: $(VENV)/test.stamp ## Run the tests with a real vLLM on the CPU (3.3 GB and minutes the first time)
	@PYTHON="$(PYTHON)" scripts/vllm-cpu $(VENV)-vllm
	@EVENWATT_VLLM=$(VENV)-vllm $(BIN)/python -m pytest -m vllm tests/e2e/test_vllm.py $(ARGS)

lint: $(VENV)/test.stamp ## Format, lint, types, import rules, spelling, generated docs
	@scripts/check --fast

check: $(VENV)/test.stamp ## The same and all tests: what CI runs
	@scripts/check $(ARGS)

bench: $(VENV)/test.stamp ## Print the figures of design budgets side by side
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/test.stamp ## Write the generated documents and the Grafana dashboards anew from the code
	@$(BIN)/python scripts/metrics_docs.py
	@$(BIN)/python scripts/command_docs.py
	@$(BIN)/python scripts/config_docs.py
	@$(BIN)/python scripts/history_docs.py
	@$(BIN)/python -m scripts.dashboards
	@$(BIN)/python scripts/openapi.py
	@$(BIN)/python scripts/api_docs.py

site: $(VENV)/test.stamp ## Build the documents as a site in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

package: $(VENV)/release.stamp ## Build the wheel, the Debian package, the SBOM and the checksums in dist/
	@scripts/package $(VENV)

charts: ## Take the newest release of the page's chart library (needs npm)
	@scripts/chart-library/update

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
