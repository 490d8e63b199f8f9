"""What `watch` was asked for, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from gradtui.errors import UsageError
from gradtui.folder.history.payload import MOST_BINS

if TYPE_CHECKING:
    from collections.abc import Iterable

LOGS: Final = ("io", "io_grad", "params", "params_grad")
# What a uint16 bin of a histogram can count at most.
LARGEST_SAMPLE: Final = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of `watch` that say what is recorded; see there."""

    log: tuple[str, ...] = LOGS
    log_freq: int = 10
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    sample_n: int = 1000
    bins: int = 64
    reject_outlier_proportion: float = 0.0
    time_log: bool = True
    keep: tuple[str, ...] = ()
    keep_values: int = 1 << 22
    exact_updates: bool = False
    max_calls: int = 128
    history_limit: int = 1 << 30
    start_step: int = 0

    def to_record(self) -> dict[str, object]:
        """As JSON-able values, for the run's first record."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def checked(
    *,
    log: Iterable[str] = LOGS,
    log_freq: int = 10,
    include: Iterable[str] | str = (),
    exclude: Iterable[str] | str = (),
    sample_n: int | None = 1000,
    bins: int = 64,
    reject_outlier_proportion: float = 0.0,
    time_log: bool = True,
    keep: Iterable[str] | str = (),
    keep_values: int = 1 << 22,
    exact_updates: bool = False,
    max_calls: int = 128,
    history_limit: int = 1 << 30,
    start_step: int = 0,
) -> Settings:
    """The settings, or an error before anything of the model is touched.

    Raises:
        UsageError: when one of them makes no sense.
    """
    kinds = (log,) if isinstance(log, str) else tuple(log)
    unknown = [kind for kind in kinds if kind not in LOGS]
    if unknown:
        raise UsageError(f"log={unknown[0]!r}: what can be logged is {', '.join(LOGS)}")
    if int(log_freq) < 1:
        raise UsageError(f"log_freq={log_freq}: at least 1, every step")
    if not 2 <= int(bins) <= MOST_BINS or int(bins) % 2:
        raise UsageError(f"bins={bins}: an even number from 2 to {MOST_BINS}")
    if not 0.0 <= float(reject_outlier_proportion) < 1.0:
        raise UsageError(
            f"reject_outlier_proportion={reject_outlier_proportion}: a share from 0, below 1"
        )
    if int(start_step) < 0:
        raise UsageError(f"start_step={start_step}: the number of the first step, from 0")
    # None is TorchExplorer's word for no sampling: as many as a bin can count.
    size = LARGEST_SAMPLE if sample_n is None else int(sample_n)
    if size < 1:
        raise UsageError(f"sample_n={sample_n}: at least 1")
    return Settings(
        log=kinds,
        log_freq=int(log_freq),
        include=_names(include),
        exclude=_names(exclude),
        sample_n=min(size, LARGEST_SAMPLE),
        bins=int(bins),
        reject_outlier_proportion=float(reject_outlier_proportion),
        time_log=bool(time_log),
        keep=_names(keep),
        keep_values=int(keep_values),
        exact_updates=bool(exact_updates),
        max_calls=max(int(max_calls), 1),
        history_limit=int(history_limit),
        start_step=int(start_step),
    )


def _names(given: Iterable[str] | str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
