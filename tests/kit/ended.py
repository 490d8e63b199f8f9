"""Processes that served a folder and live no more."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradtui.folder.location import DebugFolder

_CODE = (
    "import sys\n"
    "from gradtui.folder.adapter_state import write_adapter\n"
    "from gradtui.folder.location import DebugFolder\n"
    "write_adapter(DebugFolder.at(sys.argv[1]), sys.argv[2])\n"
)


def served(folder: DebugFolder, state: str) -> None:
    """Let a process that has ended since say last what it did: "training" where it was killed, else "stopped"."""
    subprocess.run([sys.executable, "-c", _CODE, str(folder.root), state], check=True)
