# `make demo` and `make test` are all a newcomer needs; each sets up what it lacks.
PYTHON ?= python3
BIN := .venv/bin

# Good and bad requests drawn of each operation, by `make schemathesis`.
EXAMPLES ?= 20

# Of the schedule of `make chaos`.
SEED ?= 0
FAULTS ?= 210

.PHONY: setup up demo test test-all test-browser chaos schemathesis bench-api bench-jobs bench-inference check format clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml setup.sh
	PYTHON="$(PYTHON)" bash setup.sh
	touch $@

up: setup
	$(BIN)/lipsum up

demo: setup
	$(BIN)/lipsum demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not servers and not slow and not gpu"

test-all: setup
	bash tests/install_servers.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser"

# The page in a real browser, by itself: browser, service and trainer want both cores.
test-browser: setup
	bash tests/install_servers.sh
	$(BIN)/python -m pytest tests/browser

# Hundreds of faults over dozens of jobs on real servers, in about an hour, and the report of it; a
# short form is a part of test-all. An interrupted run says how to go on.
chaos: setup
	$(BIN)/python -m tests.chaos --seed $(SEED) --faults $(FAULTS) --record docs/results/chaos.json; \
		status=$$?; $(BIN)/python -m docs.render; exit $$status

# What the API costs on this machine: a table of ratios, and the docs' tables of it.
bench-api: setup
	$(BIN)/python -m benchmarks.api --record docs/results/api.json
	$(BIN)/python -m docs.render

# What the service costs jobs, in the same way, in about forty minutes.
bench-jobs: setup
	$(BIN)/python -m benchmarks.jobs --record docs/results/jobs.json
	$(BIN)/python -m docs.render

# Inference beside LitServe, BentoML and bare forward passes, in about forty minutes; it installs those
# two where git does not look.
bench-inference: setup
	$(BIN)/python -m benchmarks.inference --record docs/results/inference.json

# The whole OpenAPI document against a running service; a part of test-all, here with its reports.
schemathesis: setup
	SCHEMATHESIS_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -s tests/integration/contract

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.render --check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The environment and what can be made again; never data/, which holds jobs and models.
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
