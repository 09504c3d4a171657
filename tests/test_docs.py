"""README and docs: facts that a program can check."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_cli_page
import pytest
import torch
import typer

from ue_cli.cli import app

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {"csd.md", "grid.md", "lab-notes.md"}
"""Pages of scripts, which have flags of their own."""
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in GENERATED),
]
WORDS = 900

COMMANDS = dict(make_cli_page.commands(typer.main.get_command(app)))
FLAGS = {name: {flag for p in c.params for flag in p.opts} for name, c in COMMANDS.items()}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= WORDS


@pytest.mark.parametrize(
    "page",
    [*PAGES, *((ROOT / "docs").glob("*.md")), ROOT / "pretrained" / "README.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def code(page: Path) -> Iterator[str]:
    """Code spans and indented lines."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))
    yield from (line.partition("#")[0] for line in text.splitlines() if line.startswith("    "))


@pages
def test_every_command_and_flag_exists(page: Path) -> None:
    groups = {name.rpartition(" ")[0] for name in COMMANDS} - {"ue"}
    for words in code(page):
        flags = {flag for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", words) if flag != "-n"}
        if called := re.search(r"(?:^|\s|/)(ue [a-z][a-z-]+)", words):
            command = called.group(1)
            assert command in {*COMMANDS, *groups}, words
            flags = set(re.findall(r"\s(--?[a-z][a-z-]*)", words[called.end() :]))
            assert flags <= FLAGS.get(command, flags) | {"--help"}, words
        elif words.startswith("--"):
            assert flags <= set().union(*FLAGS.values()) | {"--help"}, words


@pages
def test_every_file_that_is_named_exists(page: Path) -> None:
    text = re.sub(r"say `[^`]+`", "", page.read_text())
    paths = re.findall(r"`((?:ue_cli|scripts|tests|docs|pretrained)/[\w./-]+)", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pages
def test_only_one_page_speaks_of_the_ball(page: Path) -> None:
    if page.name not in ("how-it-works.md", "looks.md"):
        assert not re.search(r"\bball\b", page.read_text())


def results(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((ROOT / "scripts/results" / name).read_text())["rows"]
    return rows


def reported(experiment: str) -> list[dict[str, Any]]:
    """Rows of the default, whatever was done against it."""
    settings = {"experiment": experiment, "arm": "csd", "levels": 8}
    rows = [row for row in results("effect.json") if settings.items() <= row.items()]
    return [row for row in rows if row["seed"] in (101, 102, 103) and "choice" not in row]


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def test_the_table_of_readme_stands_in_the_results() -> None:
    control = {
        name: statistics.mean(
            row["last"]
            for row in results("effect.json")
            if row["experiment"] == name and row["arm"] == "clean"
            if row.get("against", "none") == "none" and not row.get("chain")
        )
        for name in ("flowers-jpeg", "tiny-png")
    }
    clean = {"dataset": "tiny-imagenet-10", "arm": "clean", "countermeasure": "none"}
    (small,) = (row["last"] for row in results("grid.json") if clean.items() <= row.items())
    controls = {**control, "flowers-png": control["flowers-jpeg"], "tiny-1000": small}
    for experiment, line in zip(
        ("flowers-jpeg", "flowers-png", "tiny-png", "tiny-1000"), table(), strict=True
    ):
        rows = reported(experiment)
        plain = [row for row in rows if row["against"] == "none" and not row["chain"]]
        assert len(plain) == 3
        assert line[1:] == [
            percent(controls[experiment]),
            percent(statistics.mean(row["last"] for row in plain)),
            percent(statistics.mean(row["best"] for row in plain)),
            percent(max(row["best"] for row in rows)),
            f"{min(row['jod_median'] for row in plain):.2f}",
        ]


def table() -> list[list[str]]:
    """The numbers of the one table with accuracies; of a cell with words, its number."""
    text = (ROOT / "README.md").read_text().partition("## What it is worth")[2]
    lines = re.findall(r"^\|(.*)\|$", text.partition("\n## ")[0], re.MULTILINE)[2:]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [[name, *(cell.partition(",")[0] for cell in rest)] for name, *rest in cells]


def test_the_page_of_commands_is_what_the_program_says() -> None:
    assert make_cli_page.PAGE.read_text() == make_cli_page.page(), "run scripts/make_cli_page.py"


def test_a_stale_page_of_commands_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_cli_page, "PAGE", tmp_path / "cli.md")
    monkeypatch.setattr(sys, "argv", ["make_cli_page.py", "--check"])
    assert make_cli_page.main() == 1
    (tmp_path / "cli.md").write_text(make_cli_page.page())
    assert make_cli_page.main() == 0
    (tmp_path / "cli.md").write_text(make_cli_page.page().replace("--json", "--yaml"))
    assert make_cli_page.main() == 1


def test_the_examples_of_adding_work() -> None:
    text = (ROOT / "docs" / "adding.md").read_text()
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "adding.md", "exec", dont_inherit=True), names)
    assert names["Steady"]().subset == 1.0
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert names["Posterise"](levels=8).test(images).unique().numel() <= 8
    net = names["mobilenet"](5, size=32, seed=0).eval()
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_the_line_that_ci_runs_is_in_readme() -> None:
    (line,) = re.findall(r"<!-- test -->\n    (.+)\n", (ROOT / "README.md").read_text())
    assert line.endswith("-m pytest -n auto")


def test_empty_names_are_counted(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("def f(epsilon, *, one):\n    for _known in one:\n        x = 1")
    script = str(ROOT / "scripts" / "names.py")

    def run(limit: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, script, str(package), "--at-most", limit]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    places = ["package/a.py:1: one", "package/a.py:2: _known", "2 of 4 names, 50.00 %"]
    assert run("0.5").stdout.splitlines() == places
    assert (run("0.5").returncode, run("0.49").returncode) == (0, 1)
