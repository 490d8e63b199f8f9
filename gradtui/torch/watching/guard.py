"""Nothing of ours reaches the training: failures are counted, and after the third we step aside."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_FAILURES: Final = 3
_TEXT: Final = 4000


class Guard:
    """Counts what failed in hooks.

    Attributes:
        problems: one line for each failure, and whatever else the person should know.
        failures: how many there were.
    """

    def __init__(self, told: Callable[[str, str, str], None], aside: Callable[[str], None]) -> None:
        """Say whom to tell.

        Args:
            told: called with where, one line, and the traceback of each failure.
            aside: called once, with the reason, after the third.
        """
        self.problems: list[str] = []
        self.failures = 0
        self._told, self._aside = told, aside

    def do(self, where: str, what: Callable[[], object]) -> None:
        """Do something of ours; what it raises is a failure."""
        try:
            what()
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the training
            self.failed(where, error)

    def failed(self, where: str, error: Exception) -> None:
        """Take note of a failure; never raises."""
        try:
            self.failures += 1
            line = f"{where}: {said_by(error)}"
            self.problems.append(line)
            if self.failures <= MOST_FAILURES:
                text = "".join(traceback.format_exception(error))[-_TEXT:]
                self._told(where, line, text)
            if self.failures == MOST_FAILURES:
                self._aside(f"stepped aside after {MOST_FAILURES} failures; the last: {line}")
        except Exception:  # noqa: BLE001, S110 - telling of a failure must not become one
            pass


def said_by(error: BaseException) -> str:
    """An error in one line; its class alone where it cannot even say what it is."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}".partition("\n")[0].removesuffix(": ")
    except Exception:  # noqa: BLE001 - a user's class may raise anything
        return kind
