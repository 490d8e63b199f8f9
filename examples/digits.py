"""Handwritten digits: the network of `gradtui demo`, as an example to change.

gradtui debug examples/digits.py:make
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.torch import DebugAdapter
from gradtui.torch.demo.digits import FULL_INK, load_digits, margin, prepare, train

if TYPE_CHECKING:
    from collections.abc import Callable

INDEX = 3  # which of the held-out digits is shown first


def make(progress: Callable[[float, str], None] = lambda _, __: None) -> DebugAdapter:
    """Train the network (a second or two) and serve a digit that it has not seen."""
    net, _ = train(progress)
    _, held_out = load_digits()
    return DebugAdapter(
        net,
        prepare=prepare,
        inputs=held_out.images[INDEX].astype("float32"),  # 0 is paper, FULL_INK is 16
        loss=margin,
        folder="gradtui-debug/digits",
    )


if __name__ == "__main__":
    adapter = make(lambda share, message: print(f"{share:4.0%} {message}"))
    print(f"generation {adapter.run()} is in {adapter.folder.shown} (ink goes up to {FULL_INK})")
