"""The maps' demo, where a second signal interrupts the handler of a terminal's first new size.

The handler has read the size then, and not told it. The terminal's title is "read" when it waits for the
second signal, and "told" when the second size was told and the first goes on. One change of size may come as
several signals.
"""

from __future__ import annotations

import os
import sys
import time

from textual.drivers.linux_driver import LinuxDriver

from kit.maps_demo import MapsDemo, options_of

SMALL = (50, 10)


def title(text: str) -> None:
    """Tell the test, past the program's own writing."""
    os.write(2, f"\x1b]2;{text}\x07".encode())


class Interrupted(LinuxDriver):
    """A driver whose handler, once it has read the small size, waits until another size was read and told."""

    latest = SMALL
    is_interrupted = False

    def _get_terminal_size(self) -> tuple[int, int]:
        size = self.latest = super()._get_terminal_size()
        if size == SMALL and not self.is_interrupted:
            title("read")
            while self.latest == SMALL:
                time.sleep(0.001)
            self.is_interrupted = True
            title("told")
        return size


if __name__ == "__main__":
    app = MapsDemo(options_of(sys.argv[1:]))
    app.driver_class = Interrupted
    app.run()
