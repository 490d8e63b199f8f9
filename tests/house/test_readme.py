"""The README says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradtui import cli
from gradtui.cli import exits
from gradtui.cli.help import HELP
from gradtui.cli.options import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def command_after(marker: str) -> str:
    return README.split(f"<!-- {marker} -->\n", 1)[1].splitlines()[0]


@pytest.mark.parametrize(
    ("marker", "extra", "job"),
    [
        ("the demo command", "'.[demo]'", "gradtui demo"),
        ("the test command", "'.[dev]'", "python -m pytest -n 2 --dist loadfile"),
    ],
)
def test_one_line_does_everything_on_a_new_machine(marker, extra, job):
    line = command_after(marker)
    assert line.startswith("    python3 -m venv .venv && ")
    assert extra in line
    assert line.endswith(f"&& {job}")


def test_ci_runs_the_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    assert "<!-- the test command -->" in script
    assert "pytest" not in script


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_option_is_named(command):
    options = (
        re.findall(r"--[a-z-]+", cli.command_named(command).parser().format_help())
        if command
        else []
    )
    options += re.findall(r"--[a-z-]+", HELP)
    assert [name for name in options if name not in README and name != "--help"] == []


def test_every_exit_code_is_named():
    for code in (0, exits.USAGE, exits.UNREADABLE, 129, exits.INTERRUPTED, 143):
        assert re.search(rf"\b{code}\b", README)
