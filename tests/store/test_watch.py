"""The watcher of a folder: told of changes, often or calmly."""

from __future__ import annotations

import threading

from kit.waiting import until

from gradtui.folder.location import DebugFolder
from gradtui.store import watch
from gradtui.store.watch import Watcher


def test_a_calm_watcher_still_tells(tmp_path, monkeypatch):
    """Beside a training it looks with another step from then on; no change is lost on the way."""
    import watchfiles

    steps, told = [], threading.Event()
    real = watchfiles.watch

    def noted(*paths, step, **options):
        steps.append(step)
        return real(*paths, step=step, **options)

    monkeypatch.setattr(watchfiles, "watch", noted)
    watcher = Watcher(DebugFolder.at(f"{tmp_path}/"), told.set)
    watcher.start()
    try:
        until(lambda: watcher.works, "the first look")
        watcher.calm()
        until(lambda: steps == [watch._STEP, watch._CALM_STEP], "the longer step")
        (tmp_path / "flow_info.pkl").write_bytes(b"")
        until(told.is_set, "the change")
    finally:
        watcher.stop()
