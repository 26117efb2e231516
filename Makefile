# The front door. `make up` and `make test` install what they need first.
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup up down test check bench clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv from requirements.lock and obtain the tools (engine, Kubernetes, servers)
	@python3 scripts/toolchain/bootstrap.py
	@$(BIN)/eventctl doctor --fix

up: setup ## Start the whole platform on this machine
	@$(BIN)/eventctl local up

down: ## Stop it and remove every process and file it made
	@if [ -x $(BIN)/eventctl ]; then $(BIN)/eventctl local down; fi

# Whole environments and platforms fill both cores; the other tests wait more than they compute.
WHOLE := tests/environments tests/local/platform

test: setup check ## Run the checks and all tests
	@failed=0; \
	$(BIN)/pytest -n 2 $(WHOLE) || failed=1; \
	$(BIN)/pytest -n 4 $(addprefix --ignore=,$(WHOLE)) || failed=1; \
	exit $$failed

check: setup ## Formatting, lint, types, import rules, workflows, dead and repeated code
	@$(BIN)/python -m scripts.checks

bench: setup ## Measure, as ratios against a floor in the same run
	@$(BIN)/python -m scripts.bench
