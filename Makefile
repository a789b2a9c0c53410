# make search [ARGS="key=value ..."] | make test | make test-faults | make check. See README.md for the pip commands behind them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: search test test-faults check format
search: $(VENV)/installed
	@$(BIN)/python -m search.run task=tiny10k $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest $(ARGS)

# What takes minutes: processes killed, disks filled; ends with a table of what was done and survived
test-faults: $(VENV)/installed
	$(BIN)/python -m pytest -m faults -rs --durations=10 $(ARGS)

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Installs once; again only when what is to be installed has changed.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Frugal needs Python 3.11 or later, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@echo "setting up $(VENV): the first time takes some minutes, most of them for PyTorch"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --editable '.[test]' --constraint constraints.txt
	@touch $@
