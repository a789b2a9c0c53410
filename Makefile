# make search [ARGS="key=value ..."] | make champion | make documents | make test | make test-tasks | make test-faults | make test-browser | make test-gpu | make test-cluster | make bench | make bench-gpu | make check | make docs. See README.md for the pip commands behind them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DISK := 7 GB

.PHONY: search champion documents test test-tasks test-faults test-browser test-gpu test-cluster bench bench-gpu check docs format
search: $(VENV)/installed
	@$(BIN)/python -m search.run task=tiny10k $(ARGS)

# tiny10k among deep, thin networks alone, with all that helps them to learn: they end higher, and lead later
CHAMPION := stages=3 convs_2=2 convs_3=2 kernel_1=3 kernel_2=3 kernel_3=3 padding=same batch_norm=true hidden=false \
	activation=gelu optimizer=nadam schedule=cosine batch_size=128 augmentation=affine ema=true
champion: $(VENV)/installed
	@$(BIN)/python -m search.run task=tiny10k num_trials=10 max_epochs=30 grace_epochs=4 max_macs=1300000 \
		references=false confirm.top_k=1 confirm.seeds=5 $(CHAMPION:%=fix.%) $(ARGS)

# A U-Net of 425,393 weights that cleans scanned pages, found by hand and trained to its end: one trial in two threads
DOCUMENTS := family=stages stages=4 width_1=24 width_2=32 width_3=48 width_4=64 code_width=64 convs=2 kernel=3 skips=concat \
	pooling=max dilated=false batch_norm=true activation=relu dropout=false output=sigmoid optimizer=adamw \
	learning_rate=0.003 weight_decay=0.00001 schedule=one_cycle batch_size=8 ema=true ema_decay=0.998
documents: $(VENV)/installed
	@$(BIN)/python -m search.run task=documents scale=full data=original num_trials=1 references=false max_epochs=170 \
		cpus_per_trial=2 concurrency=1 confirm.top_k=0 $(DOCUMENTS:%=fix.%) $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# Whole commands; each task's default one, but for num_trials=2, on a few images, with TASKS=whole on all that stand in: hours
test-tasks: $(VENV)/installed
	$(BIN)/python -m pytest tests/contracts tests/search -m tasks -n 2 -rs --durations=10 $(ARGS)

# What takes minutes: processes killed, disks filled; ends with a table of what was done and survived
test-faults: $(VENV)/installed
	$(BIN)/python -m pytest -m faults -n 2 --dist loadfile -rs --durations=10 $(ARGS)

# The report in a headless Chromium, if there is one
test-browser: $(VENV)/installed
	$(BIN)/python -m pytest -m browser -rs $(ARGS)

# What only a GPU can show: a training step recorded as a CUDA graph
test-gpu: $(VENV)/installed
	$(BIN)/python -m pytest -m gpu -rs $(ARGS)

# A Ray of several nodes, and a real `ray up` on hosts made of namespaces; skipped, with the reason, where root or a tool is missing
test-cluster: $(VENV)/installed
	$(BIN)/python -m pytest tests/hosts tests/search -m "hosts or nodes" -rs --durations=10 $(ARGS)

# What is claimed of speed, against peers in the same run: half an hour on two quiet cores; ARGS="data_dir=FOLDER"
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.peers.training_throughput seeds=5 epochs=3 $(ARGS)
	$(BIN)/python -m benchmarks.peers.whole_search repeats=2 $(ARGS)
	$(BIN)/python -m benchmarks.peers.first_report $(ARGS)
	$(BIN)/python -m benchmarks.driver workers=[8] trials=64 seconds=0.5
	$(BIN)/python -m benchmarks.search_quality.long_search

# What is claimed of a GPU, on one: a quarter of an hour; leaves its tables in results/gpu
bench-gpu: $(VENV)/installed
	PYTHON=$(BIN)/python benchmarks/gpu/run.sh results/gpu $(DATA_DIR)

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# The documentation as a site, in site/; a broken link or anchor fails. The variable silences an advertisement
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

format: $(VENV)/installed
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
		"when they are there, the same command goes on" >&2; exit 1; }
	@touch $@
