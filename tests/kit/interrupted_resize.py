"""The maps' demo, where a second signal interrupts the handler of a terminal's first new size.

The handler has read the size then, and not told it. The terminal's title is "read" when it waits for the
second signal, and "told" when the second size was told and the first goes on.
"""

from __future__ import annotations

import os
import sys
import time

from textual.drivers.linux_driver import LinuxDriver

from kit.maps_demo import MapsDemo, options_of

sizes: list[tuple[int, int]] = []
"""What was read: at the start, in the handler that is interrupted, in the one that interrupts."""


def title(text: str) -> None:
    """Tell the test, past the program's own writing."""
    os.write(2, f"\x1b]2;{text}\x07".encode())


class Interrupted(LinuxDriver):
    """A driver whose second handler waits, with what it has read, for the third."""

    def _get_terminal_size(self) -> tuple[int, int]:
        size = super()._get_terminal_size()
        sizes.append(size)
        if len(sizes) == 2:
            title("read")
            while len(sizes) < 3:
                time.sleep(0.001)
            title("told")
        return size


if __name__ == "__main__":
    app = MapsDemo(options_of(sys.argv[1:]))
    app.driver_class = Interrupted
    app.run()
