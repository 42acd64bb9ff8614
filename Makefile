# Two commands do everything: `make demo` and `make test`. Each sets up what it needs; a second run is quick.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help demo test slow check bench image clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the corpus that ships with the project, transcribed and held against what was said"
	@echo "make test    checks, then the tests (PYTEST=... passes options on)"
	@echo "make slow    the tests that take long: three nodes, thirty nights, faults (an hour or more; PYTEST=... likewise)"
	@echo "make check   linter, type checker, import directions"
	@echo "make bench   models, times, pipeline and scale, as tables and JSON; fails where a goal is missed (BENCH=, WRITERS=, PIPELINE=, SCALE= pass options on)"
	@echo "make image   a container image, without CUDA (IMAGE=cuda: with it); needs Docker"

$(READY): pyproject.toml infra/constraints.txt
	@echo "setting up $(VENV), once, in a few minutes"
	@echo "  1 of 3: the environment"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; rm -rf $(VENV); exit 1; }
	@echo "  2 of 3: PyTorch, the largest part"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c infra/constraints.txt torch
	@echo "  3 of 3: Ray and the rest"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c infra/constraints.txt -e '.[cluster,hub,lm,metrics,silero,tf,check,test]'
	@touch $@

demo: $(READY)
	@$(BIN)/python -m jobs.demo

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: check
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup $(PYTEST)

slow: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -m 'slow and not gpu and not checkpoint' $(PYTEST)

bench: $(READY)
	@missed=; part() { $(BIN)/python -m tests.benchmarks."$$@" || missed="$$missed $$1"; }; \
	part models $(BENCH); \
	part writers $(WRITERS); \
	part times; \
	part searches; \
	part pipeline $(PIPELINE); \
	part pipeline --dtype bfloat16 $(PIPELINE); \
	part scale $(SCALE); \
	test -z "$$missed" || { echo "goals missed, or not measured:$$missed"; exit 1; }

image:
	@infra/image/build.sh $(or $(IMAGE),cpu)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
