# `make help` lists the targets. README.md has the pip commands behind them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DISK := 7 GB

.PHONY: search help champion documents test test-tasks test-faults test-browser test-gpu test-cluster bench bench-gpu check docs format
search: $(VENV)/installed ## Search for the best tiny10k network; ARGS="key=value ..." overrides any key
	@$(BIN)/python -m search.run task=tiny10k $(ARGS)

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

champion: $(VENV)/installed ## Find the most accurate network for tiny10k (examples/champion.yaml)
	@$(BIN)/python -m search.run config=examples/champion.yaml $(ARGS)

documents: $(VENV)/installed ## Train the network that cleans scanned pages (examples/documents.yaml)
	@$(BIN)/python -m search.run config=examples/documents.yaml $(ARGS)

test: $(VENV)/installed ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-tasks: $(VENV)/installed ## Run each task's whole command on a few images, for hours with TASKS=whole
	$(BIN)/python -m pytest tests/contracts tests/search -m tasks -n 2 --dist loadfile -rs --durations=10 $(ARGS)

test-faults: $(VENV)/installed ## Kill processes and fill disks, for minutes; ends with a table of what was survived
	$(BIN)/python -m pytest -m faults -n 2 --dist loadfile -rs --durations=10 $(ARGS)

test-browser: $(VENV)/installed ## Check the report in a headless Chromium, if there is one
	$(BIN)/python -m pytest -m browser -rs $(ARGS)

test-gpu: $(VENV)/installed ## Run the tests that need a GPU
	$(BIN)/python -m pytest -m gpu -rs $(ARGS)

test-cluster: $(VENV)/installed ## Test a Ray of several nodes and a real `ray up`; skips what needs root or a missing tool
	$(BIN)/python -m pytest tests/hosts tests/search -m "hosts or nodes" -rs --durations=10 $(ARGS)

# ARGS="data_dir=FOLDER"
bench: $(VENV)/installed ## Measure the claims of speed against peers: half an hour on two quiet cores
	$(BIN)/python -m benchmarks.peers.training_throughput seeds=5 epochs=3 $(ARGS)
	$(BIN)/python -m benchmarks.peers.whole_search repeats=2 $(ARGS)
	$(BIN)/python -m benchmarks.peers.first_report $(ARGS)
	$(BIN)/python -m benchmarks.driver workers=[8] trials=64 seconds=0.5
	$(BIN)/python -m benchmarks.long_search

bench-gpu: $(VENV)/installed ## Measure the claims about a GPU, on one: a quarter of an hour; writes results/gpu
	PYTHON=$(BIN)/python benchmarks/gpu/run.sh results/gpu $(DATA_DIR)

check: $(VENV)/installed ## Run the linters, the type checker and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# The documentation as a site, in site/; a broken link or anchor fails. The variable silences an advertisement
docs: $(VENV)/installed ## Build the documentation
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

format: $(VENV)/installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Installs once; again only when what is to be installed has changed.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Frugal needs Python 3.11 or later, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv: Debian and Ubuntu have it in the package python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV), of $(DISK): the first time takes some minutes, most of them for PyTorch"
	@$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --editable '.[test]' --constraint constraints.txt || \
		{ echo "$(VENV) is not whole, for the reason above. It needs pip's package index and $(DISK) of disk; " \
		"when they are available, run the same command again" >&2; exit 1; }
	@touch $@
