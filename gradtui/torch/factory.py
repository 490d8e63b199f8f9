"""What a SPEC names: ``FILE.py:FACTORY`` of the user's, or ``demo:digits``.

The factory is called without arguments, or with ``progress`` where it has a parameter of that name: a
function of the share done (0 to 1) and a line for the person. It returns a `DebugAdapter`, or a
pair of a model and its inputs (a tensor, a tuple or list of arguments, or a dict of keyword arguments), or a
model alone, whose input is then the folder's.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from gradtui.errors import UsageError
from gradtui.folder.location import DebugFolder
from gradtui.torch.adapter import DebugAdapter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    Progress = Callable[[float, str], None]


def adapter_of(spec: str, folder: str | os.PathLike[str], progress: Progress) -> DebugAdapter:
    """The adapter that a spec names, joined to a folder.

    Args:
        spec: ``FILE.py:FACTORY`` or ``demo:digits``.
        folder: the debug folder or prefix.
        progress: given to factories that take it.

    Raises:
        UsageError: when the spec names nothing, or the factory returns something else.
        Exception: whatever the user's file raises.
    """
    factory = find_factory(spec)
    made = factory(progress=progress) if _takes_progress(factory) else factory()
    adapter = made if isinstance(made, DebugAdapter) else _from_parts(made, spec)
    adapter.folder = DebugFolder.at(folder)
    return adapter


def find_factory(spec: str) -> Callable[..., object]:
    """The function that a spec names; the user's file is run.

    Raises:
        UsageError: when there is no such file or name, or it can't be called.
    """
    if spec == "demo:digits":
        from gradtui.torch.demo import digits

        return digits.make
    place, separator, name = spec.rpartition(":")
    if not separator or not name.isidentifier() or not place.endswith(".py"):
        raise UsageError(f"{spec}: expected FILE.py:FACTORY")
    path = Path(place).resolve()
    if not path.is_file():
        raise UsageError(f"{place}: no such file")
    module_name = path.stem if path.stem.isidentifier() else "gradtui_factory"
    loading = importlib.util.spec_from_file_location(module_name, path)
    if loading is None or loading.loader is None:
        raise UsageError(f"{place}: not a Python file")
    module = importlib.util.module_from_spec(loading)
    # As `python FILE.py` has it: its neighbours can be imported, and its classes pickled.
    sys.path.insert(0, str(path.parent))
    sys.modules.setdefault(module_name, module)
    loading.loader.exec_module(module)
    factory = getattr(module, name, None)
    if isinstance(factory, nn.Module):
        # A model that stands in the file by itself.
        return lambda: factory
    if not callable(factory):
        raise UsageError(f"{place}: has no function {name!r}")
    return factory  # type: ignore[no-any-return]


def _takes_progress(factory: Callable[..., object]) -> bool:
    try:
        return "progress" in inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return False


def _from_parts(made: object, spec: str) -> DebugAdapter:
    if isinstance(made, nn.Module):
        return DebugAdapter(made)
    if isinstance(made, (tuple, list)) and len(made) == 2 and isinstance(made[0], nn.Module):
        return DebugAdapter(made[0], inputs=made[1])
    raise UsageError(
        f"{spec}: returned {kind_of(made)}; a DebugAdapter, or a model and its inputs, is needed"
    )


def kind_of(made: object) -> str:
    """What a value is, in words: "an int", "a dict", "None"."""
    if made is None:
        return "None"
    name = type(made).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
