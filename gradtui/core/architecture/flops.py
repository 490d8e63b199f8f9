"""How many floating point operations an operation takes: 2 · multiply-adds, from shapes alone.

The rules are those of MATH.md, "Architecture": biases, activations, norms and poolings count 0.
Operations go by the names that torch dispatches them under ("aten::addmm").
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.core.architecture.graph import Shape

    Rule: TypeAlias = Callable[[Sequence[Shape], Sequence[Shape], bool], int]


def _convolution(inputs: Sequence[Shape], outputs: Sequence[Shape], transposed: bool) -> int:
    # The weight's shape has the groups in it: [out, in / groups, ...], transposed [in, out / groups, ...].
    image, weight = inputs[0], inputs[1]
    spatial = len(weight) - 2
    walked = image if transposed else outputs[0]
    batch = prod(walked[: len(walked) - spatial - 1])
    return 2 * batch * prod(walked[len(walked) - spatial :]) * prod(weight)


def _addmm(inputs: Sequence[Shape], _outputs: Sequence[Shape], _transposed: bool) -> int:
    (rows, inner), columns = inputs[1], inputs[2][-1]
    return 2 * rows * inner * columns


def _matrix_product(inputs: Sequence[Shape], outputs: Sequence[Shape], _transposed: bool) -> int:
    # mm, bmm, mv, dot: each element of the output sums over the last dimension of the first.
    return 2 * prod(outputs[0]) * inputs[0][-1] if inputs[0] else 0


def _added_batches(inputs: Sequence[Shape], outputs: Sequence[Shape], _transposed: bool) -> int:
    return 2 * prod(outputs[0]) * inputs[1][-1]


def _attention(inputs: Sequence[Shape], _outputs: Sequence[Shape], _transposed: bool) -> int:
    query, key, value = inputs[:3]
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _trilinear(inputs: Sequence[Shape], _outputs: Sequence[Shape], _transposed: bool) -> int:
    # Bilinear: a weight [out, in1, in2] for each sample; torch gives the inputs as [B, 1, in1, 1] and [B, 1, 1, in2].
    return 2 * (prod(inputs[0]) // max(inputs[1][-2], 1)) * prod(inputs[1])


RULES: Final[dict[str, Rule]] = {
    "aten::convolution": _convolution,
    "aten::_convolution": _convolution,
    "aten::mm": _matrix_product,
    "aten::bmm": _matrix_product,
    "aten::mv": _matrix_product,
    "aten::dot": _matrix_product,
    "aten::addmm": _addmm,
    "aten::addmv": _added_batches,
    "aten::baddbmm": _added_batches,
    "aten::_addmm_activation": _addmm,
    "aten::_trilinear": _trilinear,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
}
"""The operations that count, by name. Each rule takes the shapes of the tensor arguments, those of the
results, and whether a convolution is transposed."""


def operation_flops(
    name: str, inputs: Sequence[Shape], outputs: Sequence[Shape], *, transposed: bool = False
) -> int:
    """FLOPs of one operation; 0 for those without a rule and for empty tensors.

    Args:
        name: as torch dispatches it, "aten::mm".
        inputs: shapes of its tensor arguments, in order.
        outputs: shapes of its results.
        transposed: whether a convolution is a transposed one.
    """
    rule = RULES.get(name)
    return rule(inputs, outputs, transposed) if rule is not None else 0


def recurrent_flops(tokens: int, weights: Sequence[Shape]) -> int:
    """FLOPs of a recurrent call (LSTM, GRU, RNN): each token meets each matrix of weights once.

    That is ``2·T·B·gates·H·(in + state)`` for each layer and direction, and ``2·T·B·H·state`` for a projection.

    Args:
        tokens: time steps times sequences; of packed sequences the elements, without padding.
        weights: shapes of all weights; those that are no matrices (biases) count 0.
    """
    return 2 * tokens * sum(prod(shape) for shape in weights if len(shape) == 2)
