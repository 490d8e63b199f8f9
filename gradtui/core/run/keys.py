"""The names of what a run records: one key for each series of numbers.

A key says whose number it is (a module's call, one of its inputs, a parameter), and which number. The
writer, the reader, the findings and the screen all speak in these keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Role: TypeAlias = Literal[
    "parameter",
    "gradient",
    "raw gradient",
    "update",
    "input",
    "output",
    "input gradient",
    "output gradient",
    "module",
    "run",
]
"""Whose number it is.

``parameter``, ``gradient`` (as the optimizer sees it: unscaled, clipped), ``raw gradient`` (unscaled,
before clipping) and ``update`` (what one optimizer step changed) belong to a parameter: ``path`` is
the module that owns it, ``slot`` its name there. ``input``, ``output`` and their gradients belong to a
call; ``slot`` says which one ("" for a single tensor, else "0", "hidden.1", "mask"). ``module`` is
the call itself (its time). ``run`` is the run: ``path`` is "", ``slot`` the name ("loss", "lr.0").
"""

Phase: TypeAlias = Literal["train", "eval"]
"""What the forward pass was: of the training, or of an evaluation. A module of it may be in another mode."""

PARAMETER_ROLES: Final = frozenset({"parameter", "gradient", "raw gradient", "update"})
TENSOR_ROLES: Final = frozenset({"input", "output", "input gradient", "output gradient"})

MERGED_BY: Final[dict[str, Literal["sum", "squares", "min", "max", "mean"]]] = {
    "l2": "squares",
    "base_l2": "squares",
    "l1": "sum",
    "sum": "sum",
    "count": "sum",
    "zeros": "sum",
    "nan": "sum",
    "inf": "sum",
    "units": "sum",
    "dead": "sum",
    "saturated": "sum",
    "minimum": "min",
    "maximum": "max",
    "seconds": "max",
    "value": "mean",
}
"""The quantities that are recorded, and how the numbers of several shards become the whole's.

All statistics are over the finite values of a tensor. ``l2`` √Σx², ``l1`` Σ|x|, ``sum`` Σx, ``minimum``,
``maximum``; ``count`` all values, ``zeros`` those equal to 0, ``nan``, ``inf`` the non-finite ones (of
tensors on a device, where that is seen without counting: 1 for some);
``units`` and ``dead``: units of an output (channels of [B, C, ...], features of [..., D]), and those
that are 0 over the whole batch; ``saturated`` values in the flat part of a nonlinearity. ``base_l2``
(role ``update``): the norm before the step of what ``l2`` is the change of. ``seconds``: time of a
call. ``value``: a scalar of the run; together it is the mean over the ranks, as the loss of a whole batch is that of its
equal parts, but for `NORMS_OF_SHARDS`. Shares, means and ratios are divisions of these, made where they
are read, so that they stay exact over shards.
"""

NORMS_OF_SHARDS: Final = frozenset({"grad_norm", "grad_norm_raw"})
"""Scalars of the run that are norms over what a rank holds: where parameters are sharded their squares add up."""

DERIVED: Final[dict[str, tuple[str, str]]] = {
    "mean": ("sum", "count"),
    "mean_abs": ("l1", "count"),
    "zero_share": ("zeros", "count"),
    "dead_share": ("dead", "units"),
    "saturated_share": ("saturated", "count"),
    "ratio": ("l2", "base_l2"),
}
"""Quantities made by division: of which, by which. The counts of ``mean`` are without non-finite values."""

VALUES: Final = "values"
"""The quantity of a histogram of a tensor's values."""
ROW_NORMS: Final = "row norms"
"""The quantity of a histogram of ‖g[b]‖₂ over the rows b of dimension 0 (an input's or output's gradient)."""


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Which number: see `Role` for what the parts mean.

    Attributes:
        path: the module path; "" for the root module and for the run.
        role: whose number.
        quantity: which number: a name of `MERGED_BY` or `DERIVED`, or for histograms `VALUES` or `ROW_NORMS`.
        slot: which parameter, input, output or scalar.
        call: which call of the module since the last step; 0 for parameters.
        phase: the module's mode in that call.
    """

    path: str
    role: Role
    quantity: str
    slot: str = ""
    call: int = 0
    phase: Phase = "train"

    def of(self, quantity: str) -> SeriesKey:
        """Return the key of another quantity of the same tensor."""
        return SeriesKey(self.path, self.role, quantity, self.slot, self.call, self.phase)

    @property
    def name(self) -> str:
        """The module path, with the parameter's, the input's or the output's name and the call."""
        parts = [part for part in (self.path, self.slot) if part]
        call = f"#{self.call}" if self.call else ""
        return ".".join(parts) + call if parts else "(root)" + call
