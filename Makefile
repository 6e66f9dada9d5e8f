# The front door. It needs GNU make and a Python 3.11 or newer that can make virtual environments; the rest it
# installs into .venv, from the machine's own package index, at the versions of constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROJECT := '.[demo,dev,fuse,postgres,s3]'
PINNED := '.[demo,dev,fuse,fuzz,postgres,s3]'
PYTHONS := python3.11 python3 python3.12 python3.13
CORES := 2
ARGS :=
SECONDS := 60
TARGETS :=

# One worker runs all tests of a file: what a file's fixtures build (a database, a log) is built once.
PYTEST := $(BIN)/pytest --numprocesses $(CORES) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lint check test-services test-interop test-cluster test-crash bench constraints clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(STAMP)  ## attest, log and verify a training pipeline, end to end; takes ARGS
	$(BIN)/atlas demo --out atlas-demo $(ARGS)

test: $(STAMP)  ## every test that needs no scheduler, server or third-party program; takes ARGS
	$(PYTEST) -m 'not cluster and not interop and not services' $(ARGS)

test-services: $(STAMP)  ## S3, PostgreSQL, a TPM, an emulated TEE: what the tests start; needs PostgreSQL, swtpm, tpm2-tools, fuse3; takes ARGS
	$(PYTEST) -m services $(ARGS)

test-interop: $(STAMP)  ## what third-party programs say of our records; takes ARGS
	$(PYTEST) -m interop $(ARGS)

test-cluster: $(STAMP)  ## real Airflow schedulers running real DAGs; needs swtpm, tpm2-tools, fuse3; takes ARGS
	$(BIN)/pytest -m cluster $(ARGS)

fuzz: $(STAMP)  ## fuzz each parser of strangers' bytes for SECONDS (60), guided by coverage; TARGETS names some
	$(BIN)/pip install --quiet -c constraints.txt atheris
	@set -e; for target in $(or $(TARGETS),$$($(BIN)/python -m tests.fuzzing.fuzz --list)); do echo "== $$target"; \
	  $(BIN)/python -m tests.fuzzing.fuzz $$target --seconds $(SECONDS); done

test-crash: $(STAMP)  ## writers killed 300 times, and Go checkers that read their log; needs Go; ARGS='--rounds N'
	$(BIN)/python -m tests.support.crash_rounds $(ARGS)

lint: $(STAMP)  ## formatting, style, types, layers, docstrings, dead code, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/interrogate -vv --omit-covered-files airflow_provider_atlas
	$(BIN)/vulture
	$(BIN)/codespell

check: lint test  ## what must hold before a commit: lint, and test with its architecture tests

bench: $(STAMP)  ## each program in benchmarks, with its own defaults
	@set -e; for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python $$program; done

constraints: $(BIN)/pip  ## resolve the dependencies anew, and pin what was found in constraints.txt
	@echo 'Resolving (about a minute) ...'
	@$(BIN)/pip install --quiet --dry-run --ignore-installed --report $(VENV)/resolved.json $(PINNED)
	@$(BIN)/python -c 'import json, re; \
	  found = [item["metadata"] for item in json.load(open("$(VENV)/resolved.json"))["install"] if not item["is_direct"]]; \
	  print(*sorted(re.sub("[-_.]+", "-", each["name"]).lower() + "==" + each["version"] for each in found), sep="\n")' \
	  > $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt

clean:  ## remove what demo, builds and tools leave behind; .venv stays
	rm -rf atlas-demo build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A Python counts when it runs (a version manager's stand-in may not), is new enough, and can make environments
# (some distributions ship that apart).
$(BIN)/pip:
	@for python in $(PYTHONS); do \
	  $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "Making $(VENV) with $$($$python --version) ..."; \
	  exec $$python -m venv --clear $(VENV); \
	done; \
	echo 'No Python 3.11 or newer with venv and ensurepip among: $(PYTHONS)' >&2; exit 1

# uv installs in seconds what takes pip a minute, but reads none of pip's settings. Where pip was told of an index or
# a proxy, and where uv fails, pip does it.
$(STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	@echo 'Installing into $(VENV) (seconds with uv, a minute or two with pip) ...'
	@if ! $(BIN)/pip config list | grep -qE 'index|proxy|trusted-host' \
	  && $(BIN)/pip install --quiet -c constraints.txt uv \
	  && $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -c constraints.txt -e $(PROJECT); then :; else \
	  echo 'Installing with pip ...'; \
	  $(BIN)/pip install --quiet -c constraints.txt -e $(PROJECT); \
	fi
	@touch $@
