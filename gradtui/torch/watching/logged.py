"""Numbers of the run that a person logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.torch.watching.late import Late, Later
    from gradtui.torch.watching.names import Names

# Names of numbers that the run has by itself.
_OURS: Final = re.compile(r"grad_norm|grad_norm_raw|lr\.\d+")


def logged(
    scalars: Mapping[str, Any], late: Late, names: Names, tell: Callable[[str], None]
) -> dict[str, Later]:
    """The numbers under the names that they get in the run; ``tell`` is told of what is not as it was meant.

    Args:
        scalars: numbers, or tensors of one value; what is neither is left out.
        late: promises what lies on a device.
        names: those that the run takes.
        tell: takes one line.
    """
    found = {}
    for given, value in scalars.items():
        name = given
        if _OURS.fullmatch(given):
            name = f"{given}.logged"
            tell(f"log({given}=...): the run has its own {given}; this one is {name}")
        if not names.logged(name):
            continue
        try:
            found[name] = late.scalar(value)
        except Exception as error:  # noqa: BLE001 - never in a user's step
            tell(f"log({given}=...): {error}")
    return found
