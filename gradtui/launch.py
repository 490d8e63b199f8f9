"""What the command line asks of the screen, and how the adapter's process is started."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Color = Literal["auto", "truecolor", "256", "16", "none"]
COLORS: Final[tuple[Color, ...]] = ("auto", "truecolor", "256", "16", "none")

_TEXTUAL_SYSTEMS: Final = ("auto", "standard", "256", "truecolor", "windows")

DEFAULT_MAX_BYTES: Final = 1 << 30
"""Files larger than this are refused, unless the person lifts it."""

CHILD_MODULE: Final = "gradtui.torch.child"
TRACER_MODULE: Final = "gradtui.torch.tracer"

# Another environment's interpreter gets this package alone, by its own path: were the folder that
# holds it put on sys.path, our numpy and all else beside it would shadow that environment's own.
BOOTSTRAP: Final = """\
import importlib.util as u, runpy, sys
d = sys.argv.pop(1)
s = u.spec_from_file_location("gradtui", d + "/__init__.py", submodule_search_locations=[d])
m = u.module_from_spec(s)
sys.modules["gradtui"] = m
s.loader.exec_module(m)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of the screen.

    Attributes:
        location: Folder or prefix, as the person wrote it.
        wait: The folder may not be there yet: an adapter is about to write it.
        estimate: How flows that were not measured are estimated.
        ascii: Draw with ASCII alone.
        color: How many colours the terminal has; ``auto`` asks the environment.
        mouse: Take the mouse from the terminal.
        poll: Only look at the folder by the clock, never through the kernel's notifications.
        max_bytes: Larger files are refused.
        child: The command of the adapter's process; empty for none.
        source: The file whose every save starts that process again; empty for none.
        title: What stands in the header in place of the location; empty for the location.
        view: The view that is opened where none was chosen before; empty for the one that fits the folder.
        plan: Choices for the Architecture, as its state has them; empty for those of the last time.
        colours: Arguments of `gradtui.core.architecture.categories.Colours`; empty for its defaults.
    """

    location: str
    wait: bool = False
    estimate: str = ""
    ascii: bool = False
    color: Color = "auto"
    mouse: bool = False
    poll: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES
    child: tuple[str, ...] = ()
    source: str = ""
    title: str = ""
    view: str = ""
    plan: Mapping[str, object] = field(default_factory=dict)
    colours: Mapping[str, Any] = field(default_factory=dict)


def choose_colors(color: Color) -> None:
    """Tell Textual how many colours to use; it asks the environment, once, when it is imported.

    Without colours there still are bold and reverse: what Textual then takes for sixteen colours, it leaves out.
    """
    if color == "none" or (color == "auto" and "NO_COLOR" in os.environ):
        os.environ["NO_COLOR"] = "1"
        os.environ["TEXTUAL_COLOR_SYSTEM"] = "standard"
    elif color != "auto":
        os.environ.pop("NO_COLOR", None)
        os.environ["TEXTUAL_COLOR_SYSTEM"] = "standard" if color == "16" else color
    elif os.environ.get("TEXTUAL_COLOR_SYSTEM", "auto") not in _TEXTUAL_SYSTEMS:
        # It would end with a KeyError.
        del os.environ["TEXTUAL_COLOR_SYSTEM"]


def child_command(
    spec: str,
    folder: str,
    *,
    python: str = "",
    module: str = CHILD_MODULE,
    more: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the command of a process that has torch and fills a folder.

    Args:
        spec: ``FILE.py:FACTORY``, or ``demo:NAME`` for a demo that is installed with the package.
        folder: The debug folder that it writes.
        python: Another environment's interpreter; empty for the one that runs now.
        module: What it runs: an adapter that serves, or a tracer.
        more: Further arguments of that module.
    """
    arguments = (spec, "--folder", folder, *more)
    if not python:
        return (sys.executable, "-m", module, *arguments)
    package = str(Path(__file__).resolve().parent)
    return (python, "-c", BOOTSTRAP, package, module, *arguments)
