"""Terminals of every kind, and none: colours, ASCII, pipes, odd sizes in the environment, odd locales."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from kit.pty_driver import Terminal
from kit.running import argv, opened, shows

if TYPE_CHECKING:
    from gradtui.folder.location import DebugFolder

SEQUENCE = re.compile(rb"\x1b\[[0-9;:?<>=!$ ]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78]")


def refused(done: subprocess.CompletedProcess[bytes], *words: str) -> None:
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"gradtui: ")
    assert b"gradtui show" in done.stderr
    for word in words:
        assert word.encode() in done.stderr


@pytest.mark.parametrize("command", [("FOLDER",), ("demo",), ("debug", "SPEC")])
def test_no_terminal_is_a_sentence(folder: DebugFolder, command: tuple[str, ...]) -> None:
    source = folder.root / "net.py"
    source.write_text("def make(): ...\n")
    words = [{"FOLDER": str(folder.root), "SPEC": f"{source}:make"}.get(w, w) for w in command]
    refused(
        subprocess.run(
            argv(*words), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    )


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_one_stream_that_is_no_terminal(folder: DebugFolder, closed: str) -> None:
    where = {"stdin": "0</dev/null", "stdout": ">out", "stderr": "2>err"}[closed]
    command = " ".join(argv(folder.root))
    with Terminal(["sh", "-c", f"{command} {where}"], 80, 24, cwd=folder.root) as terminal:
        assert terminal.wait_exit() == 2
        assert b"\x1b[?1049h" not in terminal.log
        said = bytes(terminal.log) if closed != "stderr" else (folder.root / "err").read_bytes()
        assert b"gradtui show" in said


@pytest.mark.parametrize("term", ["dumb", "", None, "unknown"])
def test_a_terminal_that_cannot_draw(folder: DebugFolder, term: str | None) -> None:
    with Terminal(argv(folder.root), 80, 24, env={"TERM": term}) as terminal:
        assert terminal.wait_exit() == 2
        assert b"\x1b" not in terminal.log
        assert b"gradtui show" in terminal.log
        assert terminal.log.count(b"\n") == 1


def colours(terminal: Terminal) -> set[str]:
    found = set()
    for sequence in re.findall(rb"\x1b\[([0-9;]*)m", bytes(terminal.log)):
        text = sequence.decode()
        if "38;2;" in text or "48;2;" in text:
            found.add("truecolor")
        elif "38;5;" in text or "48;5;" in text:
            found.add("256")
        elif any(
            part and (30 <= int(part) <= 37 or 40 <= int(part) <= 47 or 90 <= int(part) <= 107)
            for part in text.split(";")
        ):
            found.add("16")
    return found


@pytest.mark.parametrize(
    ("options", "env", "wanted"),
    [
        (("--color", "truecolor"), {"TERM": "xterm", "NO_COLOR": "1"}, {"truecolor"}),
        (("--color", "256"), {"COLORTERM": "truecolor"}, {"256"}),
        (("--color", "16"), {"COLORTERM": "truecolor"}, {"16"}),
        (("--color", "none"), {"COLORTERM": "truecolor"}, set()),
        ((), {"NO_COLOR": "", "COLORTERM": "truecolor"}, set()),
        ((), {"TERM": "xterm-256color"}, {"256"}),
        ((), {"TERM": "screen"}, {"16"}),
        ((), {"TEXTUAL_COLOR_SYSTEM": "nonsense"}, {"256"}),
    ],
)
def test_colours(
    folder: DebugFolder, options: tuple[str, ...], env: dict[str, str], wanted: set[str] | None
) -> None:
    with opened(folder.root, *options, env=env) as terminal:
        terminal.send("vlf o".replace(" ", ""))
        terminal.settle(0.1)
        found = colours(terminal)
        terminal.send("q")
        assert terminal.wait_exit() == 0
    if wanted is not None:
        # Plain text may stay in the terminal's own 16 beside the maps' colours.
        assert found - {"16"} == wanted - {"16"}
        if not wanted:
            assert not found


@pytest.mark.parametrize("env", [{}, {"LC_ALL": "C", "LANG": "C"}])
def test_ascii_is_ascii(folder: DebugFolder, env: dict[str, str]) -> None:
    with opened(folder.root, "--ascii", size=(120, 40), env=env) as terminal:
        for key in ("l", " ", "f", "o", "v", "?", "?", "X", "X", "T", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", "z", "s", "i", "c", "d"):  # fmt: skip
            terminal.send(key)
            if key == "T":
                # Keys that edit a line are for the one that has the focus.
                terminal.wait_for("threshold (")
            terminal.settle(0.05)
        shown = SEQUENCE.sub(b"", bytes(terminal.log))
        odd = sorted({bytes(shown[max(at - 20, 0) : at + 20]) for at, byte in enumerate(shown) if byte > 0x7E})  # fmt: skip
        assert not odd, odd[:5]
        terminal.send("qd")
        assert terminal.wait_exit() == 0


@pytest.mark.parametrize(
    "env", [{"LC_ALL": "C"}, {"LC_ALL": None, "LANG": None}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
{"PYTHONIOENCODING": "ascii"}]
)  # fmt: skip
def test_odd_locales(folder: DebugFolder, env: dict[str, str | None]) -> None:
    with opened(folder.root, env=env) as terminal:
        terminal.send("fov?")
        terminal.settle(0.1)
        terminal.send("?q")
        assert terminal.wait_exit() == 0, terminal.text
        assert b"Traceback" not in terminal.log


@pytest.mark.parametrize(
    "env", [{"COLUMNS": "0", "LINES": "0"}, {"COLUMNS": "-5", "LINES": "x"}, {"COLUMNS": "100000", "LINES": "1"}]
)  # fmt: skip
def test_odd_sizes_in_the_environment(folder: DebugFolder, env: dict[str, str]) -> None:
    with Terminal(argv(folder.root), 80, 24, env=env) as terminal:
        terminal.wait_for(lambda t: len(t.log) > 200 and t.settle(0.3) >= 0)
        terminal.send("q")
        assert terminal.wait_exit() == 0, terminal.text
        assert b"Traceback" not in terminal.log


def test_a_terminal_without_a_size(folder: DebugFolder) -> None:
    with Terminal(argv(folder.root), 0, 0) as terminal:
        terminal.wait_for_bytes(b"\x1b[?1049h")
        terminal.settle(0.3)
        terminal.send("q")
        assert terminal.wait_exit() == 0
        assert b"Traceback" not in terminal.log


def test_the_mouse_is_asked_for_alone(folder: DebugFolder) -> None:
    with opened(folder.root) as terminal:
        assert b"\x1b[?1000h" not in terminal.log
        terminal.send("q")
        terminal.wait_exit()
    with opened(folder.root, "--mouse") as terminal:
        assert b"\x1b[?1000h" in terminal.log
        before = terminal.text
        row = next(n for n, line in enumerate(terminal.lines) if line.startswith("1 "))
        column = terminal.lines[row].index("1", 3)
        terminal.send(f"\x1b[<0;{column + 1};{row + 1}M\x1b[<0;{column + 1};{row + 1}m")
        terminal.settle()
        assert terminal.text != before
        terminal.send("q")
        assert terminal.wait_exit() == 0
        assert terminal.log.rfind(b"\x1b[?1000l") > terminal.log.rfind(b"\x1b[?1000h")


def test_poll_follows_the_folder_too(folder: DebugFolder) -> None:
    with opened(folder.root, "--poll") as terminal:
        (folder.root / "target_representation.npy").write_bytes(b"broken")
        terminal.wait_for(shows("target_representation.npy"))
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_standard_error_carries_nothing_else(folder: DebugFolder) -> None:
    """A second pty as standard error: it is a terminal, and what goes there is not what is drawn."""
    master, slave = os.openpty()
    command = " ".join(argv(folder.root))
    try:
        with Terminal(
            ["sh", "-c", f"{command} 2>{os.ttyname(slave)}"], 80, 24, env={"TERM": "xterm-256color"}
        ) as terminal:
            terminal.wait_for(lambda t: shows("INPUT")(t) or select_ready(master))
            drawn = shows("INPUT")(terminal)
            terminal.send("q")
            assert terminal.wait_exit() == 0
            assert drawn or select_ready(master)
    finally:
        os.close(master)
        os.close(slave)


def select_ready(descriptor: int) -> bool:
    import select

    return bool(select.select([descriptor], [], [], 0)[0])


@pytest.mark.parametrize("ahead", [12 * "\x7f", "0.3\r", "\x1b[D\x7f0\r"])
def test_keys_that_are_typed_ahead_of_a_prompt_s_end(folder: DebugFolder, ahead: str) -> None:
    """Those that come before it has closed are the view's, as if they had come after."""
    with opened(folder.root) as terminal:
        terminal.send("T")
        terminal.wait_for("threshold (")
        terminal.settle()
        terminal.send(ahead + "q")
        assert terminal.wait_exit() == 0, terminal.text
