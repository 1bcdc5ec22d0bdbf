# Every target sets up what it needs, into .venv; the second call is instant.
#   make demo TORCH_INDEX_URL=...   take torch from another wheel index (PyTorch's CPU index, say)
#   make test PYTHON=python3.12     choose the Python of a new .venv
#   make test ARGS="-k catalog"     hand arguments on to pytest (or to the demo, or to the benchmark)

VENV ?= .venv
ARGS ?=
PY   := $(VENV)/bin/python
READY := $(VENV)/.ready

export VENV PYTHON TORCH_INDEX_URL

.DEFAULT_GOAL := help
.PHONY: help setup tools demo test test-slow test-kubernetes lint format bench claims image clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt .ci/bootstrap
	@.ci/bootstrap
	@touch $@

setup: $(READY)  ## install everything: .venv, and ffmpeg where it is missing
	@command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || .ci/bootstrap ffmpeg

tools: setup  ## programs that tests compare with, into .tools: helm, Prometheus, its Pushgateway
	@.ci/tools

demo: setup  ## a one-minute archive of known sounds: extract its stems, score them, name the report
	$(PY) -m workflows.demo $(ARGS)

test: setup tools  ## the tests, without the slow ones
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile -m "not slow and not kubernetes" $(ARGS)

test-slow: setup tools  ## all tests, without those on a Kubernetes control plane
	$(PY) -m pytest -m "not kubernetes" $(ARGS)

test-kubernetes: setup tools  ## the tests on a real control plane, which is built first, once
	@.ci/control-plane
	$(PY) -m pytest -m kubernetes $(ARGS)

lint: setup  ## ruff, and mypy --strict on model/ and operators/
	$(PY) -m ruff check .
	$(PY) -m mypy

format: setup  ## let ruff put the code in order
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: setup  ## speed and memory on this machine; the other files of bench/ say in their first lines what they need
	@set -e; for file in model_cost peak_memory; do echo "== bench/$$file.py"; $(PY) bench/$$file.py $(ARGS); done

DATA ?= ../shared/data
WORK ?= claims_work

claims: setup  ## docs/claims.md: trains and judges every arm, hours; goes on where it stopped. DATA: recordings, WORK: states
	$(PY) -m bench.claims --data $(DATA) --work $(WORK) $(ARGS)

image:  ## the container image, with docker, podman or buildah; .ci/image says what may be set
	@.ci/image $(ARGS)

clean:  ## remove .venv, caches and the demo's output
	rm -rf $(VENV) .tools build dist demo_out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
