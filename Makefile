# Everything a person types here. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo test thorough tests newest lint check bench chaos hostile exactness screenshots up down status doctor lock clean

BIN := .venv/bin
PYTHON := $(BIN)/python
PORT ?= 4200
HOST := 127.0.0.1
PROFILE ?= plain
# Arguments for pytest, e.g. make test ARGS="-k archive"
ARGS ?=
# Another version of BLAST+ to test with, e.g. make test BLAST=2.17
BLAST ?=
# The newest that Debian has
NEWEST := 2.17

# Where it is set, each of the many processes of the tests would compile all of our modules again.
unexport PYTHONDONTWRITEBYTECODE

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## install what is missing: the environment, and BLAST+ if we may
	@deployments/install.sh blast

.venv/installed: requirements.lock pyproject.toml deployments/install.sh
	@deployments/install.sh environment
	@touch $@

demo: install ## search real sequences from end to end and show the report
	@$(BIN)/multiblast demo

test: chosen = not long
test: tests newest ## run all checks and the tests, installing what they need

thorough: chosen = long
thorough: tests ## run the long tests, which `make test` leaves out: before a release

# The checks run while the system's packages are installed.
tests: install
	@[ -z "$(BLAST)" ] || deployments/install.sh blast $(BLAST)
	@$(if $(BLAST),export PATH="$(CURDIR)/.venv/blast-$(BLAST)/bin:$$PATH";) chosen="$(chosen)"; log=$$(mktemp); make --no-print-directory lint >"$$log" 2>&1 & lint=$$!; \
	deployments/install.sh chromium || { echo "The tests that need a browser are left out."; \
		chosen="$$chosen and not browser"; }; \
	deployments/install.sh postgresql || { echo "The tests that need PostgreSQL are left out."; \
		chosen="$$chosen and not postgresql"; }; \
	deployments/install.sh tools || echo "The tests of plugins without their programs are left out."; \
	unshare --net --mount --uts true 2>/dev/null || { echo "The tests that need name spaces of networks are left out."; \
		chosen="$$chosen and not namespaces"; }; \
	wait $$lint || { cat "$$log"; rm "$$log"; exit 1; }; cat "$$log"; rm "$$log"; \
	$(PYTHON) -m pytest -n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder -m "$$chosen" $(ARGS)

# Another version than the installed one: what forms offer, how databases are built, and reports of shipped sequences in all formats.
newest: tests
	@[ -n "$(BLAST)" ] || { \
	deployments/install.sh blast $(NEWEST) || { echo "BLAST+ $(NEWEST) was not tried: it cannot be had here."; exit 0; }; \
	export PATH="$(CURDIR)/.venv/blast-$(NEWEST)/bin:$$PATH"; \
	$(PYTHON) -m pytest -n $$(nproc) -q tests/integration/test_options_help.py tests/integration/test_targets_makeblastdb.py && $(BIN)/multiblast exactness --quick; }

lint: install ## check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint ## run the quick checks: lint and the unit tests
	@$(PYTHON) -m pytest tests/unit -n $$(nproc) --hypothesis-profile=quick $(ARGS)

bench: install ## compare the speed with that of plain BLAST+, and tell that of the registry
	@$(PYTHON) tests/benchmarks/bench.py $(ARGS)
	@$(PYTHON) tests/benchmarks/bench_scale.py
	@$(PYTHON) tests/benchmarks/bench_grown.py
	@$(PYTHON) tests/benchmarks/bench_registry.py
	@$(PYTHON) tests/benchmarks/bench_service.py
	@$(PYTHON) tests/benchmarks/bench_http.py
	@$(PYTHON) tests/benchmarks/bench_gateway.py
	@$(PYTHON) tests/benchmarks/bench_plugins.py
	@$(PYTHON) tests/benchmarks/bench_start.py

chaos: install ## kill servers and workers while jobs run, and see that nothing is lost: ARGS="--seed 2"
	@$(PYTHON) tests/chaos/chaos.py $(ARGS)

hostile: install ## send the HTTP service 10 000 and more hostile requests
	@$(PYTHON) -m pytest -n 0 -s --hypothesis-profile=hostile tests/integration/test_http_hostile.py $(ARGS)

exactness: install ## compare our reports with plain BLAST+'s: ARGS="query.fasta --target SITE/TARGET/DATABASE", "--random 500 --seed 1", or "--grown 240"
	@$(if $(findstring --random,$(ARGS)),$(PYTHON) tests/exactness/random_draws.py,$(if $(findstring --grown,$(ARGS)),$(PYTHON) tests/exactness/grown_databases.py,$(BIN)/multiblast exactness)) $(ARGS)

screenshots: install ## walk through the UI of `make up`, and renew the pictures that the documentation shows
	@place=$$(mktemp -d) && $(PYTHON) docs/make_screenshots.py http://127.0.0.1:$(PORT) "$$place" && \
	for picture in docs/images/*.png; do \
		[ ! -f "$$place/$${picture##*/}" ] || cp "$$place/$${picture##*/}" "$$picture"; done; rm -r "$$place"

up: install ## start a Prefect server and a worker (PORT=4200); PROFILE=full: PostgreSQL, S3, two workers
	@if [ "$(PROFILE)" = full ]; then deployments/install.sh postgresql; fi
	@$(PYTHON) -m deployments up --port $(PORT) --profile $(PROFILE) --host $(HOST)

down: install ## stop what `make up` started
	@$(PYTHON) -m deployments down

status: install ## say what of `make up` is running
	@$(PYTHON) -m deployments status || true  # what is wrong is said; to scripts the command itself says it by its code

doctor: install ## check everything that is needed, and say what to do
	@$(BIN)/multiblast doctor

lock: install ## renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header -q -o requirements.lock

clean: ## remove the environment and all caches, but no data
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
