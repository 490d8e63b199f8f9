"""The shape of the project itself: what is where, and how long a module may be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = {"pyproject.toml", "README.md", "gradtui", "tests", "examples"}
LONGEST = 400
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?|base|misc)(_|$)")


def tracked() -> list[Path]:
    """Files that git tracks; where there is no git, what lies in the packages."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
        )
    except (OSError, subprocess.CalledProcessError):
        return [p.relative_to(ROOT) for d in ("gradtui", "tests") for p in (ROOT / d).rglob("*.py")]
    names = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    return [name for name in names if (ROOT / name).exists()]


def modules() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def test_there_are_modules_to_look_at():
    assert Path("gradtui/launch.py") in modules()


def test_no_module_is_longer_than_the_limit():
    lengths = {str(p): len((ROOT / p).read_text().splitlines()) for p in modules()}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_no_module_has_a_name_that_says_nothing():
    assert [
        str(p)
        for p in modules()
        if any(EMPTY_NAMES.search(part) for part in p.with_suffix("").parts)
    ] == []


def test_the_top_level_holds_only_what_the_house_names():
    names = {path.parts[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} <= TOP


@pytest.mark.parametrize("path", [p for p in modules() if p.parts[0] == "gradtui"], ids=str)
def test_every_module_says_what_it_is_for(path: Path):
    first = (ROOT / path).read_text().lstrip()
    assert first.startswith(('"""', 'r"""')), path
