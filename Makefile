# Two commands: `make demo` and `make test`. Both set up everything they need in .venv.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: demo test test-long test-faults test-gpu lint clean

demo: $(READY)
	$(VENV)/bin/stylereel demo

test: $(READY)
	$(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-long: $(READY)
	$(VENV)/bin/python -m pytest -m long

test-faults: $(READY)
	$(VENV)/bin/python -m pytest -m faults tests/faults --runs 200

test-gpu: $(READY)
	$(VENV)/bin/python -m pytest -m gpu

lint: $(READY)
	$(VENV)/bin/python -m pip install -q --group dev
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

$(READY): pyproject.toml
	@echo "setting up $(VENV): a few minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --upgrade pip
	$(VENV)/bin/python -m pip install -q --editable . --group test
	@touch $(READY)

clean:
	rm -rf $(VENV) build stylereel-demo
