"""The session that the shown one is compared with: the generation before it, as it first was."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.session import Session
from gradtui.folder.location import FLOW_INFO

if TYPE_CHECKING:
    from gradtui.core.layer import Layer
    from gradtui.folder.load import Loaded

# The sessions of two generations, and a third while it is read, may not take three times a large file.
_LARGE = 16_000_000


class Previous:
    """Remembers generations of flows; a save that changes the input alone begins none.

    Attributes:
        session: The generation before the one that is shown; empty where there is none.
    """

    def __init__(self) -> None:
        self.session = Session.empty()
        self._first = Session.empty()

    def follow(self, old: Loaded, new: Loaded) -> Session:
        """Take notice of a load that follows another; returns what the new one is compared with."""
        if not old.parts:
            self._first = new.session
        elif new.parts[FLOW_INFO].value is not old.parts[FLOW_INFO].value:
            self.session = _to_compare(self._first, old.size)
            self._first = new.session
        return self.session


def _to_compare(session: Session, size: int) -> Session:
    """Of a large folder only the layers, input and target, on memory of their own."""
    # Where flows are the smaller part of the file, it is not worth a copy of the rest.
    if size <= _LARGE or sum(layer.nbytes for layer in session.layers) > size // 2:
        return session
    layers = tuple(_on_its_own(layer) for layer in session.layers)
    return replace(
        session,
        layers=layers,
        pairs=(),
        input=np.array(session.input),
        target=np.array(session.target),
        meta=MappingProxyType({}),
    )


def _on_its_own(layer: Layer) -> Layer:
    gradient = np.array(layer.gradient)
    is_one = layer.channels is layer.gradient
    return replace(
        layer, gradient=gradient, channels=gradient if is_one else np.array(layer.channels)
    )
