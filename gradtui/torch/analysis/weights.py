"""A model's weights at this moment: histograms, clusters, what lies at the ends, kernels alike."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradtui.core.analysis.kernels import BOUND
from gradtui.core.analysis.weights import BINS, Weights, look_at_weights
from gradtui.errors import UsageError
from gradtui.torch.record import to_numpy

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def weights(
    model: nn.Module, *patterns: str, bins: int = BINS, bound: float = BOUND
) -> dict[str, Weights]:
    """Describe parameters of a model: biases and the model's own too, each shared one once.

    ``weights(model)["conv1.weight"].remarks`` says in words what is odd about one; an ordinary one has none.

    Args:
        model: any module; parameters on any device and of any real dtype.
        patterns: of parameters' names or their modules' paths, as shells match them; all when there are none.
        bins: of the histograms.
        bound: the magnitude of a cosine from which kernels are alike.

    Returns:
        By name, in the order of ``named_parameters()``; parameters that have no shape yet (lazy) are left out,
        and of sharded ones (DTensor) it is this rank's part.

    Raises:
        UsageError: a pattern that fits no parameter, or a bound that is no cosine.

    Special values: see `gradtui.core.analysis.weights.look_at_weights`.
    """
    model = getattr(model, "_orig_mod", model)
    found: dict[str, Weights] = {}
    fitting = dict.fromkeys(patterns, False)
    for name, parameter, module in _parameters(model):
        fits = [p for p in patterns if _fits(name, p)]
        fitting.update(dict.fromkeys(fits, True))
        if patterns and not fits:
            continue
        axis = 1 if isinstance(module, _TRANSPOSED) and parameter.ndim > 1 else 0
        values = parameter.detach()
        # Of a sharded parameter what this rank holds: gathering it would need the others.
        values = values.to_local() if hasattr(values, "to_local") else values
        values = values.to_dense() if values.layout != torch.strided else values
        found[name] = look_at_weights(name, to_numpy(values), bins=bins, bound=bound, axis=axis)
    unused = [pattern for pattern, used in fitting.items() if not used]
    if unused:
        raise UsageError(f"no parameter is called {unused[0]!r}")
    return found


def _parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    seen: set[nn.Parameter] = set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter not in seen and not is_lazy(parameter) and not parameter.is_complex():
                seen.add(parameter)
                yield f"{path}.{name}" if path else name, parameter, module


def _fits(name: str, pattern: str) -> bool:
    path = name.rpartition(".")[0]
    return fnmatchcase(name, pattern) or (bool(path) and fnmatchcase(path, pattern))
