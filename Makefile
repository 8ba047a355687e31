# Every command makes what it needs first. A fresh machine needs Python >= 3.10, git and make.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
READY := .venv/.ready
OLD := make needs Python >= 3.10, got an older one: say which with make PYTHON=python3.12.

.PHONY: help book serve notebooks lab test lint pdf bench clean ledger set-repository
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-16s%s\n", $$1, $$2}'

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(OLD)"; exit 1; }
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install -r requirements.txt && touch $@

book: $(READY)  ## run the chapters and build the site into _build/html
	$(BIN)/jupyter-book build . -W --keep-going

serve: book  ## the same, then serve it (PORT=8000)
	@echo "The book is at http://localhost:$(PORT)  (stop with Ctrl-C)"
	@$(BIN)/python -m http.server --directory _build/html --bind 127.0.0.1 $(PORT)

notebooks: $(READY)  ## write the editions for readers and students into _build/notebooks
	$(BIN)/python -m tools.editions

lab: notebooks  ## open the reader's edition in JupyterLab
	$(BIN)/python -m pip install -q -r requirements-lab.txt && cd _build/notebooks && ../../$(BIN)/jupyter-lab reader/index.ipynb

# One thread a worker: two workers share two cores.
PYTEST := env -u HELPERS_HOST OMP_NUM_THREADS=1 $(BIN)/python -m pytest

test: $(READY)  ## all tests: the helpers, every chapter, the site in a real browser
	$(PYTEST) tests -n 2 --dist loadfile --no-loadscope-reorder --ledger check

ledger: $(READY)  ## write book/ledger.md from a run of the tests
	$(PYTEST) tests -q -n 2 -m "not site" --ignore tests/test_reader_runs.py --ledger write

lint: $(READY)  ## format and check the code, notebooks too
	$(BIN)/ruff format . && $(BIN)/python -m tools.fold && $(BIN)/ruff check .

pdf: book  ## print the site into _build/pdf/book.pdf
	$(BIN)/python -m tools.print_pdf

bench: $(READY)  ## time the helpers beside their peers, print the tables
	$(BIN)/python -m pip install -q -r requirements-bench.txt && $(BIN)/python -m benchmarks

set-repository: $(READY)  ## point the book at a fork: make set-repository URL=https://github.com/you/fork
	$(BIN)/python -m tools.repository "$(URL)"

clean:  ## drop the built site and every cache, keep .venv
	rm -rf _build build *.egg-info .pytest_cache .ruff_cache .hypothesis
