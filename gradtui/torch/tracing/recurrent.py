"""Recurrent layers: one call each, whatever the kernel, and without unrolling time where there are no data.

On meta tensors torch would run each time step; the shapes of the results are known without.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final

import torch

from gradtui.core.architecture.flops import recurrent_flops

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.torch.tracing.recorder import Recorder

FUNCTIONS: Final = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))
"""Torch's functions behind ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN``."""


def run(
    recorder: Recorder, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Count a recurrent call and give its results, without running it where the input has no data.

    The arguments are ``(input, state, weights, ...)``, or ``(elements, batch_sizes, state, weights, ...)`` of
    packed sequences; the state is a tensor, or a pair of an LSTM.
    """
    draft = recorder.current()
    place = next((k for k, value in enumerate(args) if isinstance(value, list)), -1)
    if place < 1 or draft is None:
        return function(*args, **kwargs)
    data, state, weights = args[0], args[place - 1], args[place]
    states = (state,) if isinstance(state, torch.Tensor) else tuple(state)
    draft.flops += recurrent_flops(
        prod(data.shape[:-1]), [tuple(weight.shape) for weight in weights]
    )
    if not data.is_meta:
        recorder.ledger.paused = True
        try:
            return function(*args, **kwargs)
        finally:
            recorder.ledger.paused = False
    directions = states[0].shape[0] // args[place + 2]
    output = data.new_empty((*data.shape[:-1], directions * states[0].shape[-1]))
    return (output, *(torch.empty_like(one) for one in states))
