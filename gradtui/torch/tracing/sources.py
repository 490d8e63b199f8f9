"""Which line of the user's code is running, or raised."""

from __future__ import annotations

import linecache
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

_OURS = str(Path(__file__).resolve().parents[2])
_HERE = str(Path(__file__).resolve().parent)
_DEMO = str(Path(__file__).resolve().parents[1] / "demo")
_TORCH = str(Path(torch.__file__).resolve().parent)
_STANDARD = sysconfig.get_paths()["stdlib"]
_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib"))
"""These lie in the standard library's folder, and are not of it."""
_outside: dict[CodeType, bool] = {}


def here() -> str:
    """The innermost line outside torch, the standard library and this package, as "file.py:12"; "" where there is none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to look at callers
    while frame is not None:
        if _is_users(frame.f_code):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def called_by_watcher() -> bool:
    """Whether the innermost line outside torch and the tracing is this package's, and not of a demo's model."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to look at callers
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((_HERE, _TORCH, "<")):
            return name.startswith(_OURS) and not name.startswith(_DEMO)
        frame = frame.f_back
    return False


def from_users(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first line of the user's on; None where it has none of theirs."""
    while trace is not None and not _is_users(trace.tb_frame.f_code):
        trace = trace.tb_next
    return trace


def raised_at(trace: TracebackType | None) -> tuple[str, str]:
    """The innermost line of the user's in a traceback: "file.py:12", and the line's text; empty where none."""
    found = ("", "")
    while trace is not None:
        code = trace.tb_frame.f_code
        if _is_users(code):
            line = linecache.getline(code.co_filename, trace.tb_lineno).strip()
            found = (f"{Path(code.co_filename).name}:{trace.tb_lineno}", line)
        trace = trace.tb_next
    return found


def place_of(error: BaseException) -> str:
    """Where the user's code raised, or cannot be read, as "file.py:12"; "" where no line of theirs is known."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{Path(error.filename).name}:{error.lineno}"
    return raised_at(error.__traceback__)[0]


def _is_users(code: CodeType) -> bool:
    known = _outside.get(code)
    if known is None:
        name = code.co_filename
        standard = name.startswith(_STANDARD) and not name.startswith(_INSTALLED)
        known = not standard and not name.startswith((_OURS, _TORCH, "<frozen", "<string", "<eval"))
        _outside[code] = known
    return known
