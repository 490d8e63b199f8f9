"""Names from files in a real terminal: nothing that a file holds ever speaks to it, in any view."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.folders import write_foreign
from kit.hostile import HOSTILE_NAMES
from kit.pty_driver import Terminal
from kit.running import argv, opened, shows

from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path

OURS = re.compile(
    rb"\x1b\[\??[0-9;]*[A-Za-z]|\x1b\[[<>=][0-9;]*[a-z]|\x1b\[\?[0-9;]*\$p|\x1b\][0-9]+;(?:default|\?)?\x07"
    rb"|\x1b[78=>c]|\x1b\][01]1[01];[^\x07]*\x07"
)
SPEAKING = (
    *HOSTILE_NAMES, "\x1b]0;PWNED\x07", "\x1b]2;PWNED\x1b\\", "\x1b]52;c;UFdORUQ=\x07", "\x9d0;PWNED\x9c", "\x9b2J",
    "\x1b[?1049l", "\x1bPq#0;2;0;0;0\x1b\\", "\x1b_Gf=100\x1b\\", "\x07\x08\x7f\x0e\x0f", "a\tb\rc", "\u2028\u2029",
    "\U000e0041\U000e0042", "\ufeff\u00ad\u2066x\u2069", "%s%n{}{0}", "$(touch x)`touch x`", "👩‍👩‍👧‍👦" * 5, "ｗｉｄｅ", "\u0488" * 30,
)  # fmt: skip


def speaking_root() -> dict[object, object]:
    rng = np.random.default_rng(0)
    names = list(dict.fromkeys(SPEAKING))
    return {
        "activation_gradients": {name: rng.normal(size=(2, 3)) for name in names},
        "gradient_flows": {pair: rng.normal(size=(6, 6)) for pair in itertools.pairwise(names)},
        "layer_order": names,
        "meta": {
            "schema": 1,
            "torch": "\x1b]0;PWNED\x07",
            "notes": ["\x1b]0;PWNED\x07"],
            "layers": {
                name: {"module": name, "note": "\x1b]0;PWNED\x07", "reduction": name}
                for name in names
            },
        },
    }


def harmless(terminal: Terminal) -> None:
    """Every control character that was sent is part of a sequence that a screen is drawn with."""
    rest = OURS.sub(b"", bytes(terminal.log))
    text = rest.decode("utf-8", "replace")
    odd = {c for c in text if (ord(c) < 0x20 and c not in "\r\n") or 0x7F <= ord(c) < 0xA0}
    where = min((text.index(c) for c in odd), default=0)
    assert not odd, (odd, text[max(where - 60, 0) : where + 60])
    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069\u200b\u2028\u2029\ufeff\U000e0000-\U000e007f]", text
    )
    for said in (b"\x1b]0;", b"\x1b]2;", b"\x1b]52;", b"\x1b_", b"\x1bP"):
        assert said not in terminal.log, said
    assert b"Traceback" not in terminal.log


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_no_name_speaks(tmp_path: Path, size: tuple[int, int]) -> None:
    folder = DebugFolder.at(tmp_path / "run\x1b]0;PWNED\x07\x1b[31m")
    write_foreign(folder, speaking_root())
    with Terminal(argv(folder.root), *size, colorterm="truecolor") as terminal:
        terminal.wait_for(lambda t: len(t.log) > 1000)
        terminal.settle(0.3)
        for _ in range(len(SPEAKING) // 3 + 1):
            for keys in ("v", ")", "f", "j", "\r", "o", "j", "v", "P", ")"):
                terminal.send(keys)
                terminal.settle(0.01)
        for keys in ("?", "x", "/PWN", "\r", ":layer ", "\t", "\t", "\t", "\r", "e", "E", ":info\r", ":nonsense \x1b\r", "*", "s", "s"):  # fmt: skip
            terminal.send(keys)
            terminal.settle(0.03)
        harmless(terminal)
        terminal.send("\x7f" * 20 + "q")
        terminal.settle(0.1)
        terminal.signal(15)
        terminal.wait_exit()
        harmless(terminal)


def test_no_other_file_speaks(folder: DebugFolder) -> None:
    with opened(folder.root, size=(120, 30)) as terminal:
        folder.sidecar.mkdir(exist_ok=True)
        speech = "\x1b]0;PWNED\x07\u202e"
        state = {
            "schema": 1,
            "pid": terminal.process.pid,
            "state": "failed",
            "message": speech,
            "error": speech,
        }
        folder.adapter_state.write_text(json.dumps({**state, "host": speech}))
        terminal.settle(0.5)
        folder.flow_info.write_bytes(b"c" + speech.encode() + b"\n" + speech.encode() + b"\n.")
        terminal.wait_for(shows("flow_info.pkl"))
        terminal.settle(0.2)
        harmless(terminal)
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_the_command_line_does_not_either(tmp_path: Path) -> None:
    for arguments in (
        (tmp_path / "\x1b]0;PWNED\x07",),
        ("show", tmp_path / "\x9d0;PWNED"),
        ("--\x1b]0;x\x07",),
    ):
        with Terminal(argv(*arguments), 80, 24) as terminal:
            assert terminal.wait_exit() == 2
            harmless(terminal)
