"""Full tensors: of what ``keep=`` names on every logged step, and once of what the screen asks for.

Modules, parameters and attached tensors can be named; the last are known once they were attached.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradtui.core.run.records import Kept
from gradtui.torch.layout import layout_of
from gradtui.torch.record import to_numpy
from gradtui.torch.watching.columns import key_of
from gradtui.torch.watching.values import measurable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt
    import torch
    from torch import nn

    from gradtui.folder.requests import Request
    from gradtui.torch.watching.columns import Name
    from gradtui.torch.watching.parameters import Parameters

# What the screen asks for may be this large; a copy of more would be felt.
MOST_ASKED: Final = 1 << 24
# Requests that are taken at one step.
MOST_AT_ONCE: Final = 8
_ROLES: Final[dict[str, str]] = {"activation": "output", "gradient": "output gradient"}


@dataclass(slots=True, eq=False)
class Reply:
    """What a request is answered with."""

    n: int
    status: str = "done"
    reason: str = ""
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class KeptMap:
    """A kept gradient as a map of nodes, as the debug folder shows it."""

    name: str
    values: npt.NDArray[Any]
    kind: str
    call: int
    shape: tuple[int, ...]
    reduction: str


class Keeping:
    """Which full tensors are wanted, and those that were taken in the step under way.

    Attributes:
        kept: records of this step, and ``maps`` of the gradients among them.
        replies: to requests.
    """

    def __init__(self, patterns: Sequence[str], most: int, parameters: Parameters) -> None:
        self.kept: list[Kept] = []
        self.maps: list[KeptMap] = []
        self.replies: list[Reply] = []
        self.paths: set[str] = set()
        self.too_large: set[str] = set()
        self._numbers: list[int] = []
        self._most = most
        self._parameters = parameters
        self._asked: dict[tuple[str, str, int], list[int]] = {}
        self._letters: dict[tuple[int, ...], str] = {}
        self._modules: set[str] = set()
        self._attached: set[str] = set()
        self._patterns = list(patterns)

    def choose(self, paths: Iterable[str]) -> None:
        """Find the modules (these are all), parameters and attached tensors that patterns name, anew."""
        self._modules = set(paths)
        self.paths, self._numbers = set(), []
        for pattern in self._patterns:
            self.add(pattern)

    def add(self, pattern: str) -> bool:
        """Keep what a pattern names from now on; whether that is anything."""
        paths = {path for path in self._modules | self._attached if _is_named(path, pattern)}
        numbers = []
        for number, item in enumerate(self._parameters.owned):
            if fnmatchcase(f"{item.info.path}.{item.info.name}".lstrip("."), pattern):
                numbers.append(number)
        self.paths |= paths
        self._numbers += [number for number in numbers if number not in self._numbers]
        return bool(paths or numbers)

    def attached(self, path: str) -> None:
        """A tensor was attached: it is known under this path from now on."""
        self._attached.add(path)
        if any(_is_named(path, pattern) for pattern in self._patterns):
            self.paths.add(path)

    def unmatched(self) -> list[str]:
        """A line for each pattern that names nothing, as far as is known: tensors are known once they were attached."""
        return [
            f"keep={pattern!r} names no module, no parameter and no tensor attached so far"
            for pattern in self._patterns
            if not self.add(pattern)
        ]

    @property
    def is_asked(self) -> bool:
        """Whether the screen waits for a tensor that the next forward and backward pass will have."""
        return bool(self._asked)

    # ---- in a step

    def wants(self, path: str) -> bool:
        """Whether anything of a module, or an attached tensor, is to be taken."""
        return path in self.paths or (bool(self._asked) and any(k[0] == path for k in self._asked))

    def met(self, name: Name, module: nn.Module, tensor: torch.Tensor, factor: float) -> None:
        """An output, or its gradient, of a module that `wants` something; or a tensor attached to a module."""
        path, role, slot, call, _ = name
        values = measurable(tensor)
        if values is None:
            return
        waiting = self._asked.pop((path, role, call), None)
        if waiting is not None:
            array = self._array(values, factor) if values.numel() <= MOST_ASKED else None
            for n in waiting:
                self.replies.append(
                    Reply(n, "refused", f"it has {values.numel()} values, too many to copy")
                    if array is None
                    else Reply(n, arrays={"values": array})
                )
        if path not in self.paths or not values.numel():
            return
        layout = layout_of(module, tuple(values.shape), 0, self._letters)
        self._letters[tuple(values.shape)] = layout.letters
        batch = layout.letters.find("B")
        sample = values.select(batch, 0) if batch >= 0 and values.shape[batch] else values
        if sample.numel() > self._most:
            self.too_large.add(path)
            return
        array = self._array(sample, factor)
        self.kept.append(Kept(key_of(name), array))
        if role == "output gradient" and not slot:
            letters = layout.letters.replace("B", "")
            channels = letters.find("C")
            on_map = array.sum(channels, dtype=array.dtype) if channels >= 0 else array
            title = (path or "(model)") + (f"#{call}" if call else "")
            kind = type(module).__name__ if path in self._modules else "attached tensor"
            self.maps.append(
                KeptMap(
                    title, on_map.reshape(layout.map_shape), kind, call, tuple(values.shape),
                    layout.reduction,
                )
            )  # fmt: skip

    def take_parameters(self) -> None:
        """Keep the parameters that were named, as they are now."""
        for number in self._numbers:
            values = measurable(self._parameters.owned[number].tensor)
            if values is not None and values.numel() <= self._most:
                key = key_of(self._parameters.name(number, "parameter"))
                self.kept.append(Kept(key, self._array(values, 1.0)))

    # ---- requests

    def ask(self, requests: Iterable[Request]) -> None:
        """Take requests of the screen: what is at hand is answered at once, else when the step has it."""
        for request in requests:
            path, call = str(request.fields.get("module", "")), request.fields.get("call", 0)
            what = str(request.fields.get("what", "gradient"))
            if request.kind == "keep":
                if self.add(path):
                    self._patterns.append(path)
                    self.replies.append(Reply(request.n))
                else:
                    reason = f"no module, parameter or attached tensor is called {path!r}"
                    self.replies.append(Reply(request.n, "refused", reason))
            elif request.kind != "tensor":
                reason = f"a watched training does not know requests of kind {request.kind!r}"
                self.replies.append(Reply(request.n, "refused", reason))
            elif what in _ROLES and (path in self._modules or path in self._attached):
                place = (path, _ROLES[what], call if isinstance(call, int) else 0)
                self._asked.setdefault(place, []).append(request.n)
            else:
                self.replies.append(self._parameter(request.n, path, what))

    def _parameter(self, n: int, path: str, what: str) -> Reply:
        for item in self._parameters.owned:
            if (item.info.path, item.info.name) == (path, what):
                values = measurable(item.tensor)
                if values is None or values.numel() > MOST_ASKED:
                    return Reply(n, "refused", "too large to copy")
                return Reply(n, arrays={"values": self._array(values, 1.0)})
        if path not in self._modules:
            return Reply(n, "refused", f"no module is called {path!r}")
        return Reply(n, "refused", f"{path!r} has no {what!r}")

    def finish(self) -> tuple[list[Kept], list[KeptMap], list[Reply]]:
        """What the step that ends has taken; what it was asked for and did not have is refused."""
        for (path, role, call), waiting in self._asked.items():
            reason = f"this step had no {role} of call {call} of {path or '(root)'}"
            self.replies += [Reply(n, "refused", reason) for n in waiting]
        self._asked.clear()
        found = self.kept, self.maps, self.replies
        self.kept, self.maps, self.replies = [], [], []
        return found

    @staticmethod
    def _array(values: torch.Tensor, factor: float) -> npt.NDArray[Any]:
        array = to_numpy(values)
        array = array.astype(np.float32 if array.dtype != np.float16 else np.float16)
        return array if factor == 1.0 else array * np.float32(factor)


def _is_named(path: str, pattern: str) -> bool:
    """Whether a pattern names a path: by itself, which may hold what patterns are made of, or as a pattern."""
    return path == pattern or fnmatchcase(path, pattern)


def as_flow_info(maps: Sequence[KeptMap], step: int) -> dict[str, Any]:
    """A generation of the debug folder that shows kept gradients as its layers, in the order of ``maps``."""
    layers = {
        item.name: {
            "module": item.kind,
            "call": item.call,
            "shape": list(item.shape),
            "reduction": item.reduction,
            "note": "",
        }
        for item in maps
    }
    return {
        "activation_gradients": {item.name: item.values for item in maps},
        "gradient_flows": {},
        "layer_order": [item.name for item in maps],
        "meta": {"schema": 1, "pairs": [], "layers": layers, "step": step},
    }
