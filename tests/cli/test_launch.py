"""How the adapter's process is started, in our environment and in another one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gradtui
from gradtui.launch import BOOTSTRAP, CHILD_MODULE, child_command

CHILD = """\
import json, sys
import gradtui, gradtui.torch
print(json.dumps({"name": __name__, "argv": sys.argv, "path": sys.path, "root": gradtui.__file__}))
"""


def test_our_own_interpreter():
    assert child_command("demo:digits", "f") == (
        sys.executable, "-m", "gradtui.torch.child", "demo:digits", "--folder", "f",
    )  # fmt: skip


def test_another_interpreter_gets_the_package_and_nothing_beside_it(tmp_path: Path):
    site = tmp_path / "site-packages"
    room = site / "gradtui" / "torch"
    room.mkdir(parents=True)
    (site / "gradtui" / "__init__.py").write_text("")
    (room / "__init__.py").write_text("")
    (room / "child.py").write_text(CHILD)
    (site / "numpy.py").write_text("raise SystemExit('the other environment has its own')")
    done = subprocess.run(
        [
            sys.executable, "-c", BOOTSTRAP, str(site / "gradtui"), CHILD_MODULE, "net.py:make", "--folder", "f",
            ],
        capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["name"] == "__main__"
    assert found["argv"][1:] == ["net.py:make", "--folder", "f"]
    assert found["root"] == str(site / "gradtui" / "__init__.py")
    assert str(site) not in found["path"]


def test_the_bootstrap_is_given_this_package():
    command = child_command("net.py:make", "f", python="/usr/bin/python3")
    assert command[0] == "/usr/bin/python3"
    assert Path(command[3]) == Path(gradtui.__file__).parent
    assert command[4:] == (CHILD_MODULE, "net.py:make", "--folder", "f")
