# What a newcomer types: `make demo` and `make test`. Everything else is called by these, or by CI, or now and then.
# Each target makes what it needs; what is there already is left alone.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The private servers' tool is no part of the package: see dev/crawl_dev.
DEV := PYTHONPATH=dev $(BIN)/python
# What `make chaos` is told: make chaos CHAOS='--quick --fault kill'
CHAOS ?=
# What `make hostile` is told: make hostile HOSTILE='--times 5 --hazard bomb-br'
HOSTILE ?=
# What `make fuzz` is told: make fuzz SECONDS=600 FUZZ='--target page --target url'
SECONDS ?= 60
FUZZ ?=
# Another site for `make demo`: make demo SITE=https://docs.example.org/
SITE ?=
# Where `make test-rabbitmq4` keeps RabbitMQ 4.0, for all checkouts: 240 MB, and nothing of the machine is changed.
RABBITMQ4 := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/crawlmq/rabbitmq4

# Another Python environment for the other crawlers of `make bench`; and QUICK=1 to see whether a benchmark runs at all.
PEERS := .venv-peers
QUICK ?=
# And one for pip-audit, whose dependencies are not to be ours.
AUDIT := .venv-audit

.DEFAULT_GOAL := help
# Every target that `make help` lists is a task, not a file.
.PHONY: $(shell awk -F: '/^[a-z0-9-]+:.*## / {print $$1}' $(MAKEFILE_LIST))

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: venv servers ## Crawl a real site with two consumers, on servers of its own (SITE=https://... for another)
	@$(DEV) -m crawl_dev.demo $(if $(SITE),'$(SITE)')

test: venv servers check ## Check and test everything, on servers of its own
	@$(BIN)/pytest

test-unit: venv ## The tests that need no server: seconds
	@$(BIN)/pytest -m 'not servers' tests/unit tests/contract

test-integration: venv servers ## The tests against real servers
	@$(BIN)/pytest -m servers

test-rabbitmq4: venv servers ## The tests against real servers, with RabbitMQ 4.0 (Linux with debootstrap; root at the first time)
	@dev/install-rabbitmq4 '$(RABBITMQ4)'
	@CRAWL_DEV_RABBITMQ='$(RABBITMQ4)' $(BIN)/pytest -m servers

chaos: venv servers ## Break things while a planned site is crawled: a table, an hour and more (CHAOS=--quick: 20 minutes)
	@$(DEV) -m crawl_dev.chaos $(CHAOS)

hostile: venv ## Visit each page of a hostile web a hundred times: a table of outcomes, times, CPU and memory (half an hour)
	@$(DEV) -m crawl_dev.hostile $(HOSTILE)

fuzz: venv ## Try bytes that nobody thought of on every reader of strangers' bytes: a table of findings (a quarter of an hour)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --group fuzz \
	  || echo 'make fuzz: atheris cannot be installed here; inputs come by chance alone'
	@$(DEV) -m crawl_dev.fuzz --seconds $(SECONDS) $(FUZZ)

test-mutations: venv servers ## Put known defects into copies of the tree, one at a time: a test must find each (minutes)
	@$(DEV) -m crawl_dev.mutations

check: venv ## Lint, formatting, types, which package may import which, and no version with a known advisory
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(DEV) -m crawl_dev.advisories

audit: venv $(AUDIT)/.installed ## Ask PyPI for the advisories of everything that is installed (needs the network)
	@mkdir -p build && $(BIN)/python -m pip freeze --exclude-editable > build/installed.txt
	@$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement build/installed.txt

$(AUDIT)/.installed: | venv
	@echo "make audit: installing pip-audit into $(AUDIT)"
	@$(BIN)/python -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@touch $@

venv: $(INSTALLED) ## Install the package and the development tools into .venv

$(INSTALLED): pyproject.toml dev/make-venv
	@dev/make-venv $(VENV)
	@touch $@

servers: ## Install RabbitMQ, Redis and nginx, where they are missing
	@dev/install-servers

bench: venv servers $(PEERS)/.installed ## Measure against other crawlers (half an hour, on an idle machine) and write docs/benchmarks.md
	@$(DEV) bench/compare.py --peers $(PEERS)/bin/python $(if $(QUICK),--quick)

$(PEERS)/.installed: bench/requirements-peers.txt | venv
	@echo "make bench: installing the other crawlers into $(PEERS)"
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

bench-scale: venv servers ## Measure what a page costs as ledger, processes, hosts and hours grow (25 minutes), likewise
	@$(DEV) bench/scale.py $(if $(QUICK),--quick)

bench-seed: venv servers ## Measure seeding: URLs per second and memory
	@$(DEV) bench/seed.py

bench-memory: venv servers ## Measure the ledger: bytes of Redis memory per URL
	@$(DEV) bench/memory.py

bench-ladder: venv servers ## Measure the ladder of delays: how late 100,000 parked messages come back
	@$(DEV) bench/ladder.py

bench-politeness: venv servers ## Measure politeness: gaps, throughput, small hosts beside a huge one
	@$(DEV) bench/politeness.py

bench-quick: venv servers ## Measure one consumer against two plain loops, in less than a minute
	@$(DEV) bench/quick.py

profile: venv servers ## Show where one consumer's time goes, as a tree
	@$(DEV) bench/hotspots.py

build: venv ## Build the wheel and the source archive into dist/
	@$(BIN)/python -m build

clean: ## Remove everything that these targets have made
	rm -rf $(VENV) $(PEERS) $(AUDIT) build dist demo-output .fuzz .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
