# Run `make` for the list of commands.
#
# STACK=mm|onedl  the original toolboxes, or their maintained forks
# WHEELS=folder   holds a wheel of mmcv (onedl-mmcv), which saves compiling it
# ARGS='...'      further arguments for pytest (-n 0: in one process) or the demo

STACK ?= mm
ENV_mm := .venv
ENV_onedl := .venv-onedl
ENV := $(ENV_$(STACK))
ifeq ($(ENV),)
$(error STACK is '$(STACK)'; wanted is 'mm' or 'onedl')
endif

# Any Python >= 3.9: it only starts the script that builds the environment.
PYTHON ?= $(shell python3 -c '' 2>/dev/null && echo python3 || echo python3.11)
# The whole suite on the default stack; on the forks the rooms that are built on the toolboxes.
TESTS_mm :=
TESTS_onedl := $(addprefix tests/,stack utils datasets evaluation mnc ranet segaware \
    submission transfernet test_doctor.py test_docs.py)
# A process a core, a file in one process: its fixtures are made once.
WORKERS := --numprocesses=auto --maxprocesses=4 --dist=loadfile
export WHEELS

.DEFAULT_GOAL := help
.PHONY: help env demo test lint clean

help:
	@echo 'make demo    train on generated scenes, print mIoU, write pictures'
	@echo 'make test    run the tests'
	@echo 'make lint    check the style'
	@echo 'make env     build the environment in $(ENV) (the others do it first)'
	@echo 'make clean   remove caches and build files; environments stay'
	@echo
	@echo 'STACK=onedl  use the maintained forks of the toolboxes ($(ENV_onedl))'
	@echo 'WHEELS=dir   take mmcv from a wheel in dir instead of compiling it'
	@echo "ARGS='...'   further arguments for pytest or the demo"

env:
	@$(PYTHON) tools/make_env.py --stack $(STACK)

demo: env
	@$(ENV)/bin/python tools/demo.py $(ARGS)

test: env
	@$(ENV)/bin/python -m pytest $(WORKERS) $(TESTS_$(STACK)) $(ARGS)

lint: env
	@$(ENV)/bin/ruff check .

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name '.venv*' -prune -o -name __pycache__ -type d -print | xargs rm -rf
