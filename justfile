# Short names for the commands in CONTRIBUTING.md.
python := ".venv/bin/python"

install:
    python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'

lint:
    {{python}} -m ruff check --fix .
    {{python}} -m ruff format .
    .venv/bin/lint-imports

types:
    {{python}} -m mypy

test:
    {{python}} -m pytest -n auto

fast:
    {{python}} -m pytest -n auto -m "not slow"

# Some tests, in one process: just one tests/images -k rotated
one *arguments:
    {{python}} -m pytest {{arguments}}

bench:
    {{python}} scripts/benchmark.py protect

# docs/cli.md, after a command or a flag has changed
page:
    {{python}} scripts/make_cli_page.py
