"""An idle screen sends nothing: it is watched in many panes, over slow connections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kit.folders import write_foreign
from kit.pty_driver import Terminal
from kit.running import all_quiet, argv, opened, serving, shows

from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 10.0


def test_ten_seconds_of_nothing(folder: DebugFolder, tmp_path: Path) -> None:
    """On a folder, on one with unsaved edits, on a broken file, and beside an adapter that serves: all at once."""
    broken, edited = (DebugFolder.at(tmp_path / name) for name in ("broken", "edited"))
    for each in (broken, edited):
        write_foreign(each)
    broken.flow_info.write_bytes(b"\x80\x04.")
    source = serving(tmp_path / "served")
    debug = argv("debug", f"{source}:make", "--folder", tmp_path / "served")
    with (
        Terminal(debug, 120, 40) as served,
        opened(folder.root) as calm,
        opened(edited.root, "--poll") as unsaved,
        Terminal(argv(broken.root), 80, 24) as waiting,
    ):
        unsaved.send(" :thr")
        waiting.wait_for(shows("flow_info.pkl"))
        served.wait_for(shows("generation 1"))
        all_of_them = (served, calm, unsaved, waiting)
        all_quiet(all_of_them, 1.0)
        sent = {terminal: len(terminal.log) for terminal in all_of_them}
        until = time.monotonic() + SECONDS
        while (left := until - time.monotonic()) > 0:
            for terminal in all_of_them:
                terminal.read(min(left, 0.25))
        for terminal in all_of_them:
            assert terminal.process.poll() is None
            news = bytes(terminal.log[sent[terminal] :])
            assert news == b"", (all_of_them.index(terminal), news, terminal.text)
