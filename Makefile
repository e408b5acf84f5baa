# The commands of XRouter. All of them need Python 3.11 or newer, and nothing else.
PYTHON ?= python3
PYTEST_ARGS ?=
FUZZ_ARGS ?= --seed 1 --cases 10000
CHAOS_ARGS ?= --kill-web 5-15 --kill-celery 60 --kill-redis 60 --restart-postgres 60
VENV := .venv/bin/python
# Modules are compiled when they are first imported, and then once and for all.
unexport PYTHONDONTWRITEBYTECODE
SERVED := $(VENV) -m xrouter.services --
# Settings for what needs them but no server: nothing listens at these addresses.
NOWHERE := env XROUTER_SECRET_KEY=check XROUTER_VAULT_KEYS=k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
	DATABASE_URL=postgres://nobody@127.0.0.1:1/nothing REDIS_URL=redis://127.0.0.1:1/0

.DEFAULT_GOAL := help
.PHONY: help run test check bench chaos conformance fuzz requirements clean python environment dev-environment

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

run: environment ## install and start everything; Ctrl-C stops it
	@exec $(VENV) -m xrouter.run --leashed

test: dev-environment ## the whole suite, on servers of its own; PYTEST_ARGS="-k keys -x"
	@exec $(SERVED) $(VENV) -m tests.suite $(PYTEST_ARGS)

check: dev-environment ## format, lint, types, import contracts, missing migrations, house rules
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(VENV) -m mypy
	.venv/bin/lint-imports
	$(NOWHERE) $(VENV) -W ignore manage.py makemigrations --check --dry-run
	$(NOWHERE) $(VENV) manage.py check
	$(NOWHERE) $(VENV) -m pytest -q tests/test_house.py

bench: dev-environment ## CPU and throughput of one web process, as a table
	@exec $(SERVED) $(VENV) -m tests.bench

chaos: dev-environment ## kill processes under load, then count the money; CHAOS_ARGS="--requests 1000 --kill-web 5-15"
	@exec $(VENV) -m tests.chaos $(CHAOS_ARGS)

conformance: dev-environment ## clients x features x providers, by the official SDKs, into docs/conformance.md
	@exec $(SERVED) $(VENV) -m tests.conformance

fuzz: dev-environment ## ask everything the schema allows and forbids, against real processes; FUZZ_ARGS="--seed 2 --cases 1000"
	@exec $(SERVED) $(VENV) -m tests.fuzz $(FUZZ_ARGS)

requirements: dev-environment ## pin requirements*.in anew, with hashes
	$(VENV) -m piptools compile $(PIN) -o requirements.txt requirements.in
	$(VENV) -m piptools compile $(PIN) -o requirements-dev.txt requirements-dev.in
	$(VENV) -m piptools compile $(filter-out --allow-unsafe,$(PIN)) --no-header \
		`sed -n 's/^\([a-z0-9-]*\)==.*/--unsafe-package=\1/p' requirements.txt requirements-dev.txt | grep -vE '$(OLDER)'` \
		-o $(INSTRUCTOR)/requirements.txt $(INSTRUCTOR)/requirements.in

clean: ## remove what was installed and cached; the state in .xrouter stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# A client of the tests, whose packages come before theirs; of these it has versions of its own.
INSTRUCTOR := tests/conformance/instructor
OLDER := =(openai|jiter|rich)$$

# Index addresses and find-links of whoever pins stay out of the files.
PIN := --quiet --allow-unsafe --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

environment: python
	@$(PYTHON) xrouter/install.py requirements.txt

dev-environment: python
	@$(PYTHON) xrouter/install.py requirements.txt requirements-dev.txt

# In words that any Python understands.
python:
	@command -v $(PYTHON) >/dev/null || { echo "XRouter needs Python 3.11 or newer, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("XRouter needs Python 3.11 or newer, and $(PYTHON) is %d.%d; name another: make PYTHON=/path/to/python3.11" % v[:2])'
