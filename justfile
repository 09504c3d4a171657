# Short names for the commands in CONTRIBUTING.md.
venv := ".venv/bin/python"

install:
    python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'

fast:
    {{venv}} -m pytest -n auto -m "not slow"

test:
    {{venv}} -m pytest -n auto

format:
    {{venv}} -m ruff format . && {{venv}} -m ruff check --fix .

bench:
    {{venv}} scripts/benchmark.py protect
