"""Proof from the autograd graph that one convolution, and only elementwise operations, lie between two layers.

The closed form is used where this proof succeeds, and nowhere else: the path from the target back
to the source must be a single chain of graph nodes whose mathematics is known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch.autograd.graph import GradientEdge

from gradtui.torch.graph import leads_to
from gradtui.torch.unfold import Convolution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from gradtui.torch.tap import Tap

# Graph nodes whose Jacobian is diagonal: each value of the output hangs on its own input alone.
_ELEMENTWISE: Final = frozenset(
    f"{name}Backward0"
    for name in (
        "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Gelu", "Silu", "Elu", "Hardtanh", "Hardswish",
        "Hardsigmoid", "Softplus", "Mish", "Neg", "Exp", "Log", "Log1P", "Sqrt", "Rsqrt", "Abs",
        "Sin", "Cos", "Erf", "Clamp", "Clone", "Alias", "NativeDropout",
    )
)  # fmt: skip
# Diagonal as long as nothing is broadcast, which the shapes tell.
_ARITHMETIC: Final = frozenset(
    f"{name}Backward{k}" for name in ("Mul", "Add", "Sub", "Div", "Pow") for k in (0, 1)
)


@dataclass(frozen=True, slots=True)
class ConvolutionPath:
    """A chain: source, elementwise operations, one convolution, elementwise operations, target.

    Attributes:
        convolution: the one convolution.
        output: place of its output.
        slopes_from: graph node where the elementwise part before it starts; None when it reads the source itself.
    """

    convolution: Convolution
    output: GradientEdge
    slopes_from: tuple[Any, int] | None


def convolution_path(
    source: Tap,
    target: Tap,
    wrapped: Mapping[tuple[object, int], tuple[GradientEdge, nn.Module]],
) -> ConvolutionPath | None:
    """The chain between two layers, or None where it is not proven to be one."""
    spatial = len(source.layout.letters) - 2
    if target.hooked or len(source.within) or len(target.within):
        # A hook may change the gradient on its way, which no graph tells; a view has another shape than its place.
        return None
    if not _is_image(source) or not _is_image(target) or spatial != len(target.layout.letters) - 2:
        return None
    leading = leads_to(target.edge.node, source)
    found: tuple[Convolution, GradientEdge] | None = None
    after: tuple[Any, int] | None = None
    node: Any = target.edge.node
    number: Any = target.edge.output_nr
    while (node, number) != source.key:
        if number != 0 or node not in leading:
            return None
        name = node.name()
        own = wrapped.get((node, number))
        if name == "ConvolutionBackward0":
            if found is not None or _open_ways(node, leading, source) != [0]:
                return None
            convolution = _from_module(own[1], node) if own else _from_node(node)
            if convolution is None or len(convolution.kernel) != spatial:
                return None
            found = (convolution, GradientEdge(node, number))
            # A convolution that pads by itself is one step, from its module's output to its input.
            inner = node.next_functions[0]
            node, number = (own[0].node, own[0].output_nr) if own else inner
            continue
        ways = _open_ways(node, leading, source)
        if len(ways) != 1 or not _is_elementwise(node, name, ways[0]):
            return None
        if found is not None and after is None:
            after = (node, number)
        node, number = node.next_functions[ways[0]]
    return None if found is None else ConvolutionPath(*found, after)


def contract(
    path: ConvolutionPath, source: Tap, target: Tap, seed: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What the closed form is fed with.

    Args:
        path: the chain.
        source: its start.
        target: its end.
        seed: ``g_b`` in the target's shape, zero outside the nodes shown.

    Returns:
        The gradient that arrives at the convolution's output, ``[C', M]``, and the slopes before it,
        ``[C, N]`` or None for ones.
    """
    sample, batch = _sample(source), "B" in source.layout.letters
    arriving = seed
    if (path.output.node, path.output.output_nr) != target.key:
        arriving = torch.autograd.grad(target.probe, path.output, seed, retain_graph=True)[0]
    arriving = (arriving[sample] if batch else arriving).flatten(1).detach()
    if path.slopes_from is None:
        return arriving, None
    node, number = path.slopes_from

    def ones(incoming: tuple[torch.Tensor | None, ...]) -> tuple[torch.Tensor | None, ...]:
        replaced = list(incoming)
        replaced[number] = torch.ones_like(cast("torch.Tensor", incoming[number]))
        return tuple(replaced)

    # The elementwise part is differentiated at ones, which gives its diagonal.
    handle = node.register_prehook(ones)
    try:
        slopes = torch.autograd.grad(target.probe, source.edge, seed, retain_graph=True)[0]
    finally:
        handle.remove()
    return arriving, (slopes[sample] if batch else slopes).flatten(1).detach()


def _sample(tap: Tap) -> int:
    return min(tap.layout.sample, tap.layout.shape[0] - 1)


def _is_image(tap: Tap) -> bool:
    return tap.layout.letters in ("BCW", "BCHW", "BCDHW") and prod(tap.layout.shape) > 0


def _open_ways(node: Any, leading: set[Any], source: Tap) -> list[int]:
    return [
        k
        for k, (following, number) in enumerate(node.next_functions)
        if following is not None and (following in leading or (following, number) == source.key)
    ]


def _is_elementwise(node: Any, name: str, way: int) -> bool:
    if name in _ELEMENTWISE:
        return way == 0
    if name in ("NativeBatchNormBackward0", "CudnnBatchNormBackward0"):
        return way == 0 and not getattr(node, "_saved_training", True)
    if name not in _ARITHMETIC:
        return False
    following, number = node.next_functions[way]
    try:
        here = node._input_metadata[0].shape  # noqa: SLF001 - the only place where shapes stand
        there = following._input_metadata[number].shape  # noqa: SLF001
    except (AttributeError, IndexError):
        return False
    return tuple(here) == tuple(there)


def _from_node(node: Any) -> Convolution | None:
    try:
        return Convolution(
            weight=node._saved_weight.detach(),  # noqa: SLF001
            stride=tuple(node._saved_stride),  # noqa: SLF001
            padding=tuple(node._saved_padding),  # noqa: SLF001
            dilation=tuple(node._saved_dilation),  # noqa: SLF001
            groups=int(node._saved_groups),  # noqa: SLF001
            transposed=bool(node._saved_transposed),  # noqa: SLF001
        )
    except (AttributeError, RuntimeError):
        return None


def _from_module(module: nn.Module, node: Any) -> Convolution | None:
    inner = _from_node(node)
    if inner is None or inner.transposed or not isinstance(module, torch.nn.modules.conv._ConvNd):  # noqa: SLF001
        return None
    # Stated from the last dimension to the first, each as before and after.
    pads = module._reversed_padding_repeated_twice  # noqa: SLF001
    before = tuple(pads[::2][::-1])
    return Convolution(
        inner.weight, inner.stride, before, inner.dilation, inner.groups, mode=module.padding_mode
    )
