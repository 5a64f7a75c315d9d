# Every command of the README is a verb here. `make study` and `make test` need nothing but Python 3.11 or newer.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# Idle OpenMP threads that spin take the cores from the other trials.
export OMP_WAIT_POLICY ?= passive

.PHONY: study report test check docs notebook calibrate design bench beside scale nodes faults hostile test-slow test-long clean

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mim4dd needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

study: .venv/installed ## the main job: how sensitive is MIM4DD, on digits
	$(BIN)/python studies/sensitivity.py $(ARGS)

# Small versions of the studies, in this order: those that take longest come last.
SMALL := noisy_labels imbalance mitigation baselines dataset_bias cost ablation architectures
# Two seeds more, on which a setting of each method is chosen; what helps against noise, rare classes and a planted cue;
# every critic with every head and layers.
STRONG := mim:base=dm,balance=gradnorm,weight=1
MORE_baselines := --tune 4 --seeds 0-6
MORE_mitigation := --noise symmetric:rate=0.4 --imbalance exponential:factor=10 \
	--remedy dropped:by=loss,share=0.4 --remedy batch_weights=posterior --remedy positives=similar \
	--remedy batch_shares=proportional --remedy last_weight=0
MORE_dataset_bias := --method dm --method $(STRONG) \
	--method dm:batch_weights=rare --method $(STRONG),base.batch_weights=rare
MORE_ablation := --part factorial --part critics --part placebos
# Finished studies that cannot be small, such as fidelity's: make report ALSO=runs/fidelity-HASH
ALSO ?=
report: .venv/installed ## small versions of the studies on digits, and every item of the review answered by them (resumable)
	$(BIN)/python studies/sensitivity.py --out runs/review/sensitivity $(ARGS)
	$(foreach study,$(SMALL),$(BIN)/python studies/$(study).py --quick --seeds 0-4 $(MORE_$(study)) --out runs/review/$(study) $(ARGS) && \
	) true
	$(BIN)/python studies/report.py runs/review/* $(ALSO) --out runs/review.html

test: .venv/installed ## the tests, without the slow ones, in two processes of one thread, a file in one of them
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-slow: .venv/installed ## the slow tests, without the long ones: two processes, then one for those that start Ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow and not long and not ray" -n 2 --dist loadfile $(ARGS)
	$(BIN)/python -m pytest -m "slow and not long and ray" $(ARGS)

test-long: .venv/installed ## what no change waits for: the other faults, hostile inputs, VGG-11, coverage by simulation
	$(BIN)/python -m pytest -m long $(ARGS)

check: .venv/installed ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed ## README.md and what docs/source holds besides, filled from there (ARGS=--check only compares)
	$(BIN)/python docs/fill.py $(ARGS)

notebook: .venv/installed ## docs/first-hour.ipynb, executed again in an empty folder (about a minute)
	folder=$$(mktemp -d) && cp docs/first-hour.ipynb $$folder && (cd $$folder && $(abspath $(BIN))/python -m nbconvert --to notebook \
		--execute --inplace --ExecutePreprocessor.record_timing=False first-hour.ipynb) && cp $$folder/first-hour.ipynb docs/ && rm -r $$folder

calibrate: .venv/installed ## how often each statistic of the reports is right, as docs/results/calibration.md (about 5 minutes)
	$(BIN)/python tests/calibration/calibrate.py $(ARGS)

bench: .venv/installed ## iterations, evaluation, per-trial overhead, each as a ratio within one run
	$(BIN)/python tests/benchmarks/bench.py $(ARGS)

beside: .venv/installed ## the reference beside ours, seconds to equal accuracy: ARGS="--reference CLONE --data-root DATA_ROOT" (about 5 minutes)
	$(BIN)/python tests/benchmarks/beside.py $(ARGS)

scale: .venv/installed ## what the driver costs: 50, 500 and 5,000 trials that return at once
	$(BIN)/python tests/benchmarks/scale.py $(ARGS)

nodes: .venv/installed ## how many workers a driver keeps busy: trials that sleep, on 6 nodes of 3 CPUs on this machine (10 GB)
	$(BIN)/python tests/benchmarks/nodes.py $(ARGS)

design: .venv/installed ## which default design decides most a second: docs/results/design.md
	$(BIN)/python tests/calibration/design.py $(ARGS)

faults: .venv/installed ## every fault against a running study, as a table (about 15 minutes)
	$(BIN)/python tests/faults/matrix.py $(ARGS)

hostile: .venv/installed ## the hostile inputs of docs/reliability.md, tried, and the fuzz, as a table (about ten minutes)
	$(BIN)/python tests/hostile/hostile_table.py $(ARGS)

clean: ## what the commands above made, results included
	rm -rf .venv runs mlflow.db mlruns
