"""What an import really loads, each in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "gradtui"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)
VIEWER = [name for name in MODULES if not name.startswith("gradtui.torch")]
ADAPTER = [name for name in MODULES if name.startswith("gradtui.torch")]
SCREEN_LIBRARIES = {"textual", "rich", "plotext"}


@cache
def loaded(*names: str) -> frozenset[str]:
    """Modules that importing ``names`` adds to a bare interpreter's."""
    script = (
        "import json, sys; before = set(sys.modules)\n"
        + "".join(f"import {name}\n" for name in names)
        + "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return frozenset(json.loads(done.stdout.splitlines()[-1]))


def packages(*names: str) -> set[str]:
    return {name.partition(".")[0] for name in loaded(*names)}


def test_the_root_imports_nothing_else():
    assert {name for name in loaded("gradtui") if name != "__future__"} == {"gradtui"}


def test_the_command_line_loads_nothing_heavy():
    assert not packages("gradtui.cli") & {
        "numpy", "torch", "textual", "rich", "plotext", "watchfiles", "asyncio", "subprocess",
        "platformdirs", "importlib_metadata",
    }  # fmt: skip
    assert "importlib.metadata" not in loaded("gradtui.cli")
    assert {name for name in loaded("gradtui.cli") if name.startswith("gradtui")} == {
        "gradtui", "gradtui.cli", "gradtui.cli.exits", "gradtui.cli.options", "gradtui.errors",
    }  # fmt: skip


def test_the_viewer_never_loads_torch():
    assert "torch" not in packages(*VIEWER)


# tests/torch is on the path too, as a package without an origin.
@pytest.mark.skipif(
    getattr(find_spec("torch"), "origin", None) is None, reason="torch is not installed"
)
def test_the_adapter_never_loads_the_screen_or_the_store():
    assert not packages(*ADAPTER) & (SCREEN_LIBRARIES | {"watchfiles", "platformdirs"})
    rooms = {name.split(".")[1] for name in loaded(*ADAPTER) if name.startswith("gradtui.")}
    assert rooms <= {"torch", "core", "folder", "errors"}


@pytest.mark.parametrize(
    ("room", "outside"),
    [
        ("core", {"numpy"}),
        ("viewmodel", {"numpy"}),
        ("folder", {"numpy"}),
        ("store", {"numpy", "watchfiles", "platformdirs", "anyio", "sniffio", "idna", "tomli"}),
    ],
)
def test_a_room_loads_only_what_it_may(room: str, outside: set[str]):
    names = [name for name in MODULES if name.startswith(f"gradtui.{room}")]
    assert names
    third_party = packages(*names) - set(sys.stdlib_module_names) - {"gradtui"} - outside
    # Compiled parts register themselves under names of their own, next to the package they are of.
    assert {name for name in third_party if not name.startswith(("_", "numpy"))} == set()


def test_the_first_frame_waits_for_no_numbers():
    if "gradtui.tui.app" not in MODULES:
        pytest.skip("the screen is not built yet")
    assert not packages("gradtui.tui.app") & {"numpy", "watchfiles", "plotext"}
