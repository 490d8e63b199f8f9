"""Which modules are layers, and what a layer is called: no two of a model share a name."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torch import nn

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

INPUT = "input"
MODEL = "(model)"


def layer_name(path: str, call: int, paths: Collection[str]) -> str:
    """The name of a call of a module: its path, ``path#k`` for call k from the second on.

    What another module is called already stands in parentheses: ``(conv#1)`` is call 1 of ``conv`` in a
    model that has a module ``conv#1``.

    Args:
        path: of the module; empty for the model itself.
        call: from 0.
        paths: of all modules of the model.
    """
    head = path or unused(MODEL, paths)
    return unused(f"{head}#{call}", paths) if call else head


def unused(name: str, paths: Collection[str]) -> str:
    """The name, in as many parentheses as it takes to be no module's path."""
    while name in paths:
        name = f"({name})"
    return name


@dataclass(frozen=True, slots=True)
class Selection:
    """Which modules are layers: path patterns (``encoder.*``), or all that are asked by default.

    By default: modules with parameters of their own, normalisations left out (they rescale what
    they are given, and stand inside the flow between their neighbours); where that leaves fewer
    than two, every module without children. A pattern that is a module's path means that module,
    whatever it looks like; any other is read as ``path#k``, or as a layer's name.
    """

    patterns: tuple[str, ...] = ()

    def picks(self, model: nn.Module) -> frozenset[str]:
        """Paths of the modules that are layers.

        Raises:
            UsageError: when a pattern names no module.
        """
        modules = dict(model.named_modules())
        if not self.patterns:
            chosen = {path for path, module in modules.items() if _matters(module)}
            if len(chosen) < 2:
                chosen |= {p for p, m in modules.items() if p and next(m.children(), None) is None}
            return frozenset(chosen)
        chosen = set()
        for pattern in self.patterns:
            head, _ = _read(pattern, modules)
            found = {path for path in modules if _fits(path, head, modules)}
            if not found and pattern not in (INPUT, unused(INPUT, modules)):
                known = ", ".join(list(filter(None, modules))[:12]) or "none"
                raise UsageError(f"no module is called {pattern!r}; the model has: {known}")
            chosen |= found
        return frozenset(chosen)

    def wants(self, path: str, call: int, paths: Collection[str]) -> bool:
        """Whether this call of a picked module is a layer; ``path#k`` asks for call k alone."""
        if not self.patterns:
            return True
        return any(
            _fits(path, head, paths) and number in ("", str(call))
            for head, number in (_read(pattern, paths) for pattern in self.patterns)
        )

    def wants_input(self, paths: Collection[str]) -> bool:
        """Whether the model's input is a layer."""
        return not self.patterns or bool({INPUT, unused(INPUT, paths)} & set(self.patterns))


def _read(pattern: str, paths: Collection[str]) -> tuple[str, str]:
    """A pattern's path, and the number of the call that alone is meant, or empty."""
    if pattern in paths:
        return pattern, ""
    bare = pattern
    while bare.startswith("(") and bare.endswith(")") and bare[1:-1] in paths:
        bare = bare[1:-1]
    head, separator, number = bare.rpartition("#")
    if separator and number.isdecimal():
        return ("" if head == unused(MODEL, paths) else head), str(int(number))
    return ("" if pattern == unused(MODEL, paths) else pattern), ""


def _fits(path: str, head: str, paths: Collection[str]) -> bool:
    if path == head:
        return True
    return bool(path) and head not in paths and fnmatchcase(path, head)


def _matters(module: nn.Module) -> bool:
    if isinstance(module, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)):  # noqa: SLF001
        return False
    if type(module).__name__.endswith("Norm"):
        return False
    return next(module.parameters(recurse=False), None) is not None
