"""What a kernel says of operands of different dtypes, where no kernel runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

ONE_DTYPE: Final = frozenset(
    f"aten::{name}"
    for name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "convolution")
)
"""Operations whose operands have one dtype. On meta torch 2.13 looks at their shapes alone."""


def agree(name: str, tensors: Iterable[torch.Tensor]) -> None:
    """Refuse operands of several dtypes, as the kernel would.

    Raises:
        RuntimeError: naming them.
    """
    dtypes = list(dict.fromkeys(str(tensor.dtype).removeprefix("torch.") for tensor in tensors))
    if len(dtypes) > 1:
        operation = name.removeprefix("aten::")
        raise RuntimeError(
            f"{operation}: expected operands of one dtype, but got {' and '.join(dtypes)}"
        )
