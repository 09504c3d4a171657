"""What `--help` lists, and in which panel."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from ue_cli.cli import app


def panels(command: str) -> dict[str, list[str]]:
    """The flags under each heading."""
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}).output
    sections = re.split(r"^(\w[\w ]*):\n", text, flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"^  (?:-\w, )?(--[\w-]+)", body, flags=re.MULTILINE)
        for title, body in zip(sections[::2], sections[1::2], strict=True)
    }


def test_protect_shows_at_most_sixteen_options_before_the_rest() -> None:
    listed = panels("protect")
    assert list(listed) == ["Arguments", "Options", "More options"]
    assert len(listed["Options"]) <= 16
    assert {"--out", "--look", "--perturbation", "--json", "--help"} <= set(listed["Options"])
    assert {"--space", "--order", "--home"} <= set(listed["More options"])


@pytest.mark.parametrize("flag", ["--cells", "--per", "--preset", "--gradient", "--surrogate"])
def test_how_a_bank_is_made_is_asked_of_optimize_alone(flag: str) -> None:
    def flags(command: str) -> list[str]:
        return [name for names in panels(command).values() for name in names]

    assert flag not in flags("protect") and flags("optimize").count(flag) == 1
