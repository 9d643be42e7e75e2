# What a newcomer types: `make demo` and `make test`. Everything else is called by these, or by CI, or now and then.
# Each target makes what it needs; what is there already is left alone.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The private servers' tool is no part of the package: see dev/crawl_dev.
DEV := PYTHONPATH=dev $(BIN)/python
# What `make chaos` is told: make chaos CHAOS='--quick --fault kill'
CHAOS ?=
# Another site for `make demo`: make demo SITE=https://docs.example.org/
SITE ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-integration chaos check venv servers bench-seed bench-memory bench-ladder bench-politeness build clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: venv servers ## Crawl a real site with two consumers, on servers of its own (SITE=https://... for another)
	@$(DEV) -m crawl_dev.demo $(if $(SITE),'$(SITE)')

test: venv servers check ## Check and test everything, on servers of its own
	@$(BIN)/pytest

test-unit: venv ## The tests that need no server: seconds
	@$(BIN)/pytest -m 'not servers' tests/unit tests/contract

test-integration: venv servers ## The tests against real servers
	@$(BIN)/pytest -m servers

chaos: venv servers ## Break things while a planned site is crawled: a table, an hour (CHAOS=--quick: 15 minutes)
	@$(DEV) -m crawl_dev.chaos $(CHAOS)

check: venv ## Lint, formatting, types, and which package may import which
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

venv: $(INSTALLED) ## Install the package and the development tools into .venv

$(INSTALLED): pyproject.toml dev/make-venv
	@dev/make-venv $(VENV)
	@touch $@

servers: ## Install RabbitMQ, Redis and nginx, where they are missing
	@dev/install-servers

bench-seed: venv servers ## Measure seeding: URLs per second and memory
	@$(DEV) bench/seed.py

bench-memory: venv servers ## Measure the ledger: bytes of Redis memory per URL
	@$(DEV) bench/memory.py

bench-ladder: venv servers ## Measure the ladder of delays: how late 100,000 parked messages come back
	@$(DEV) bench/ladder.py

bench-politeness: venv servers ## Measure politeness: gaps, throughput, small hosts beside a huge one
	@$(DEV) bench/politeness.py

build: venv ## Build the wheel and the source archive into dist/
	@$(BIN)/python -m build

clean: ## Remove everything that these targets have made
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
