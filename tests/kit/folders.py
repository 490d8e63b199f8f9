"""Debug folders for tests: written by our adapter's side, or by another program that knows no commits."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from kit.hostile import npy_bytes, plain_flow_info

if TYPE_CHECKING:
    from gradtui.folder.location import DebugFolder


def flow_info(scale: float = 1.0) -> dict[str, object]:
    """A flow info that is right, its numbers times ``scale``."""
    plain = plain_flow_info()
    gradients = plain["activation_gradients"]
    flows = plain["gradient_flows"]
    assert isinstance(gradients, dict)
    assert isinstance(flows, dict)
    return {
        "activation_gradients": {
            name: array * np.float32(scale) for name, array in gradients.items()
        },
        "gradient_flows": {pair: array * np.float32(scale) for pair, array in flows.items()},
    }


def age(folder: DebugFolder, seconds: float = 60.0) -> None:
    """Make every file look as if it was left alone for so long."""
    when = time.time() - seconds
    for path in folder.root.iterdir():
        if path.is_file() and path.name.startswith(folder.prefix):
            os.utime(path, (when, when))


def write_foreign(
    folder: DebugFolder,
    root: dict[str, object] | None = None,
    *,
    input_: np.ndarray | None = None,
    target: np.ndarray | None = None,
    aged: bool = True,
) -> None:
    """Write as the seed's adapters do: in place, with Python's pickler, without commits."""
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.flow_info.write_bytes(pickle.dumps(root if root is not None else flow_info()))
    folder.input.write_bytes(npy_bytes(np.eye(3, 4) if input_ is None else input_))
    folder.target.write_bytes(npy_bytes(np.zeros((3, 4)) if target is None else target))
    if aged:
        age(folder)


def a_living_process() -> subprocess.Popen[bytes]:
    """A process that waits until its input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )


def pending_of(pid: int) -> bytes:
    """What a process that is about to write leaves for others to see."""
    return json.dumps(
        {"schema": 1, "pid": pid, "host": socket.gethostname(), "started": 0}
    ).encode()
