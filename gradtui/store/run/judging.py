"""Findings about a run, judged beside the reading of it: they may be a moment late, and numbers never wait for them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding

# Seconds between two judgements; and how much of a core they may take when the model is large.
_PAUSE = 0.3
_SHARE = 0.006
_LONGEST_PAUSE = 10.0


class Judge:
    """A thread that judges the newest run that it was given, a few times a second at most.

    Attributes:
        problem: Why a rule could not judge, in one line; empty while all can.
    """

    def __init__(
        self,
        judge: Callable[[Run], tuple[Finding, ...]],
        publish: Callable[[tuple[Finding, ...]], None],
    ) -> None:
        """Nothing is started yet.

        Args:
            judge: The rules.
            publish: Takes findings that differ from the ones before.
        """
        self.problem = ""
        self._judge = judge
        self._publish = publish
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._waiting: Run | None = None
        self._told: tuple[Finding, ...] = ()
        self._era = 0
        self._thread = threading.Thread(target=self._run, name="gradtui-findings", daemon=True)

    def start(self) -> None:
        """Begin to judge what comes."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread once it is done with the run that it looks at."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def take(self, run: Run) -> None:
        """Judge this run next; one that waits is left out for it."""
        with self._lock:
            self._waiting = run
        self._wake.set()

    def forget(self) -> None:
        """Another training has begun: what was found, or is being found, is about the one before."""
        with self._lock:
            self._waiting = None
            self._era += 1
            self._tell(())

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            began = time.thread_time()
            self._once()
            spent = time.thread_time() - began
            self._stop.wait(min(max(_PAUSE, spent / _SHARE), _LONGEST_PAUSE))

    def _once(self) -> None:
        with self._lock:
            run, era, self._waiting = self._waiting, self._era, None
        if run is None:
            return
        try:
            found = self._judge(run)
        except Exception as error:  # noqa: BLE001
            # A mistake in a rule must not take the numbers from the person.
            self.problem = f"findings: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            return
        failed = [finding.why for finding in found if finding.rule == "judging"]
        self.problem = f"findings: {failed[0]}" if failed else ""
        with self._lock:
            if era == self._era:
                self._tell(found)

    def _tell(self, found: tuple[Finding, ...]) -> None:
        if found != self._told:
            self._told = found
            self._publish(found)
