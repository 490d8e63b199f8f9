"""The person's settings: keys and colours in ``config.toml``.

```toml
[keys]
quit = "Q"            # the id of a binding, and its key

[colours]
positive = "#ff8800"  # the name of a colour of the screen
```

A mistake in it is told and does not keep the screen from starting.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from gradtui.errors import FileBusy, UnreadableFile
from gradtui.store.home import config_home

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAX_BYTES = 256_000


def _none() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``config.toml`` says.

    Attributes:
        keys: Key by the id of its binding.
        colours: Colour by name.
        notes: What is wrong with the file, one line each.
    """

    keys: Mapping[str, str] = field(default_factory=_none)
    colours: Mapping[str, str] = field(default_factory=_none)
    notes: tuple[str, ...] = ()


def load_settings() -> Settings:
    """Read the settings; a missing file gives the defaults, a broken one the defaults and a note."""
    path = config_home() / "config.toml"
    try:
        path.stat()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        return Settings(notes=(f"{path}: {error.strerror}",))
    try:
        text = _read(path)
        parsed = _parse(text)
    except (UnreadableFile, FileBusy) as error:
        return Settings(notes=(str(error),))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        return Settings(notes=(f"{path}: {reason}",))
    notes: list[str] = []
    keys = _texts(parsed.get("keys", {}), "keys", path, notes)
    colours = _texts(parsed.get("colours", parsed.get("colors", {})), "colours", path, notes)
    notes += [
        f"{path}: nothing is called [{ascii(name)[1:-1][:40]}]"
        for name in parsed
        if name not in ("keys", "colours", "colors")
    ]
    return Settings(keys, colours, tuple(notes))


def _read(path: Path) -> str:
    from gradtui.folder.reading import read_regular

    return str(read_regular(path, max_bytes=_MAX_BYTES).data, "utf-8")


def _parse(text: str) -> dict[str, object]:
    # The standard library has it from Python 3.11 on; before, the package that it came from is a dependency.
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    parsed: dict[str, object] = importlib.import_module(name).loads(text)
    return parsed


def _texts(table: object, name: str, path: Path, notes: list[str]) -> Mapping[str, str]:
    if not isinstance(table, dict):
        notes.append(f"{path}: [{name}] is not a table")
        return _none()
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, str):
            found[key] = value
        else:
            notes.append(f"{path}: {name}.{ascii(key)[1:-1][:40]} is not a text")
    return MappingProxyType(found)
