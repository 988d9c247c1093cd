# Every target sets up what it needs in .venv, with uv if it is installed and with venv and pip if not.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python3.14; do \
	if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$each; break; fi; done)
EXAMPLES := -e examples/countries -e examples/bookshop
PORT ?= 8000
PART := $(addprefix tests/,managers/test_manager.py sessions config cli/test_command_line.py migrations/test_moving.py) \
	$(addprefix tests/plugins/,test_asyncio.py test_click.py test_fastapi.py test_flask.py)
SLOW := tests/faults tests/integration
INPUTS := pyproject.toml constraints.txt $(wildcard examples/*/pyproject.toml)

.PHONY: help demo serve test faults coverage house mutants bench check hooks lint types contracts docs docs-drawings docs-screens wheel minimum pythons constraints clean

help: ## show what there is to make
	@echo 'make TARGET; each sets up what it needs in $(VENV). ARGS="-k name" goes to pytest. Begin with: make demo, make test'
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo ## sync the bookshop's databases on embedded SQLite, show a few rows, and ask its API once over HTTP
	@echo '== the bookshop: two apps, one SQLite file: sqlhelpers run-sync'
	@cd examples/bookshop && rm -f bookshop.db bookshop.db-shm bookshop.db-wal && time ../../$(BIN)/sqlhelpers run-sync
	@echo '== once more: there is nothing to do'
	@cd examples/bookshop && ../../$(BIN)/sqlhelpers run-sync
	@echo '== sqlhelpers status'
	@cd examples/bookshop && ../../$(BIN)/sqlhelpers status
	@echo '== a few rows'
	@cd examples/bookshop && ../../$(BIN)/python -m bookshop
	@echo '== the API, asked once over HTTP (make serve leaves it running)'
	@cd examples/bookshop && ../../$(BIN)/python demo.py

serve: $(VENV)/.demo ## sync the bookshop's database, and serve its API until it is interrupted (PORT=8000)
	@cd examples/bookshop && ../../$(BIN)/sqlhelpers run-sync && ../../$(BIN)/python -m bookshop > /dev/null
	@echo '== the API is at http://127.0.0.1:$(PORT)/books and described at http://127.0.0.1:$(PORT)/docs; Ctrl-C ends it'
	@cd examples/bookshop && exec ../../$(BIN)/python -m uvicorn bookshop.api:app --port $(PORT)

test: $(VENV)/.dev ## run the tests, on SQLite and on throwaway PostgreSQL and MariaDB servers
	@echo '== the tests; servers that are not installed are named in the summary'
	@$(BIN)/python -m pytest -q -n 3 $(if $(findstring tests/,$(ARGS)),,$(addprefix --ignore ,$(SLOW))) $(ARGS)

faults: $(VENV)/.dev ## the slow tests: many processes, kills, stalls, poolers, wheels in fresh environments, services
	@echo '== faults, services and wheels'
	@$(BIN)/python -m pytest -q -n 3 $(SLOW) $(ARGS)

coverage: $(VENV)/.dev ## run the tests, and print the lines and branches that none of them takes; one is a failure
	@echo '== the tests, measured together with the processes that they start'
	@rm -rf build/coverage
	@status=0; $(BIN)/coverage run -m pytest -q -n 2 $(ARGS) || status=$$?; \
		$(BIN)/coverage combine -q; $(BIN)/coverage report --fail-under=100; exit $$status

bench: $(VENV)/.dev ## what all costs beside plain Alembic and SQLAlchemy, in a table and build/bench.json (FULL=1: all rounds)
	@$(BIN)/python tests/benchmarks/everything.py $(if $(FULL),full)

house: $(VENV)/.dev ## count the lines of each room, and how often work goes from one module to another
	@$(BIN)/python tests/benchmarks/house.py $(ARGS)

mutants: $(VENV)/.dev ## break core modules in small ways, and name what no test notices (MODULES="urls locks"; else all, an hour)
	@$(INSTALL) --group mutants
	@$(BIN)/python tests/mutants.py $(MODULES)

check: lint types contracts docs wheel minimum pythons ## run every check but the tests on the newest versions

hooks: $(VENV)/.dev ## let git check style and leftovers at each commit
	@$(BIN)/pre-commit install

lint: $(VENV)/.dev ## style, with every rule of ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev ## types, with mypy and pyright, and that all public names have theirs
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@mkdir -p build && for package in sqlhelpers $(notdir $(patsubst %/__init__.py,%,$(wildcard plugins/*/__init__.py))); do \
		PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pyright --ignoreexternal --verifytypes $$package > build/types.txt \
			|| { cat build/types.txt; exit 1; }; done

contracts: $(VENV)/.dev ## which module may import which
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

docs: docs-screens ## the documentation, as build/docs/index.html; a warning is an error
	@$(BIN)/python -m sphinx -E -b html -d build/doctrees -W --keep-going -n -q docs build/docs
	@echo '== the pages are in build/docs; begin with build/docs/index.html'

wheel: $(VENV)/.dev ## the built wheel, installed alone into a fresh environment
	@echo '== the wheel alone'
	@rm -rf build/wheel && $(BIN)/uv build -q --wheel -o build/wheel
	@$(BIN)/uv venv -q build/wheel/env --python $(BIN)/python
	@$(BIN)/uv pip install -q --python build/wheel/env/bin/python build/wheel/*.whl
	@cd build/wheel && DATABASE_URL=sqlite:///x.db ../../tests/smoke.sh env/bin

minimum: $(VENV)/.dev ## the tests but the faults and services, at the lowest versions of direct dependencies
	@echo '== the lowest versions of direct dependencies'
	@$(BIN)/uv venv -q --allow-existing build/minimum --python $(BIN)/python
	@$(BIN)/uv pip install -q --python build/minimum/bin/python --resolution lowest-direct -e '.[all]' --group test $(EXAMPLES)
	@build/minimum/bin/python -m pytest -q -n 3 -p no:cacheprovider $(addprefix --ignore ,$(SLOW)) $(ARGS)

pythons: $(VENV)/.dev ## the tests but faults and integration on the newest other Python, a part of them on those in between
	@chosen='$(addprefix --ignore ,$(SLOW))'; \
	for version in 3.14 3.13 3.12 3.11; do \
		python=; for each in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python; do \
			if "$$each" -c '' 2>/dev/null; then python=$$each; break; fi; done; \
		[ -n "$$python" ] || continue; \
		[ "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" != $$version ] || continue; \
		echo "== Python $$version"; \
		$(BIN)/uv venv -q --allow-existing build/python-$$version --python $$python; \
		$(BIN)/uv pip install -q --python build/python-$$version/bin/python -c constraints.txt -e '.[all]' --group test $(EXAMPLES); \
		build/python-$$version/bin/python -m pytest -q -n 3 -p no:cacheprovider $$chosen $(ARGS); \
		chosen='$(PART)'; \
	done

constraints: $(VENV)/.dev ## write constraints.txt anew, with the newest versions
	@$(BIN)/uv pip compile -q --upgrade --universal --all-extras --group dev --group mutants \
		--custom-compile-command 'make constraints' pyproject.toml -o constraints.txt

docs-drawings: $(VENV)/.dev ## draw the bookshop anew for docs/drawing.md; needs Graphviz
	@$(BIN)/python docs/drawings.py

docs-screens: $(VENV)/.dev ## take the screens of docs/screens.md anew
	@$(BIN)/python docs/screens.py

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed; say where with: make PYTHON=/path/to/python3'; exit 1; }
	@echo '== making $(VENV) with $(if $(UV),uv,venv and pip)'
	@$(if $(UV),uv venv -q --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
	@$(if $(UV),,$@ -m pip install -q --upgrade pip)

INSTALL = $(if $(UV),VIRTUAL_ENV=$(VENV) uv pip install -q,$(BIN)/python -m pip install -q) -c constraints.txt

$(VENV)/.demo: $(INPUTS) | $(BIN)/python
	@echo '== installing sqlhelpers and the examples into $(VENV)'
	@$(INSTALL) -e '.[sqlite]' $(EXAMPLES)
	@touch $@

$(VENV)/.dev: $(INPUTS) | $(BIN)/python
	@echo '== installing sqlhelpers, the examples and the development tools into $(VENV)'
	@$(INSTALL) -e '.[all]' $(EXAMPLES) --group dev
	@touch $@ $(VENV)/.demo
