# Each command is book.py's, which makes what it needs first; without make: python book.py serve.
# A fresh machine needs Python >= 3.10, git and make. Another Python: make PYTHON=python3.12 serve.
PYTHON ?= python3
BOOK := $(PYTHON) book.py

.PHONY: help book serve notebooks lab test lint pdf zip kit bench ledger install set-repository clean kit-student kit-instructor kit-grader kit-bank kit-slides kit-slides-teacher grade
.DEFAULT_GOAL := help

serve:
	@$(BOOK) serve

book:
	@$(BOOK) book

notebooks:
	@$(BOOK) notebooks

lab:
	@$(BOOK) lab

test:
	@$(BOOK) test

lint:
	@$(BOOK) lint

pdf:
	@$(BOOK) pdf

zip:
	@$(BOOK) zip

kit:
	@$(BOOK) kit

kit-student:
	@$(BOOK) kit-student

kit-instructor:
	@$(BOOK) kit-instructor

kit-grader:
	@$(BOOK) kit-grader

kit-bank:
	@$(BOOK) kit-bank

kit-slides:
	@$(BOOK) kit-slides

kit-slides-teacher:
	@$(BOOK) kit-slides-teacher

grade:
	@$(BOOK) grade

bench:
	@$(BOOK) bench

ledger:
	@$(BOOK) ledger

set-repository:
	@$(BOOK) set-repository "$(URL)"

install:
	@$(BOOK) install

clean:
	@$(BOOK) clean

help:
	@$(BOOK) help
