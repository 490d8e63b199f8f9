"""What a person names when a model of theirs is to be run: ``FILE.py:FACTORY``, and another interpreter."""

from __future__ import annotations

from gradtui.errors import UsageError


def spec_source(spec: str) -> str:
    """The file of a ``FILE.py:FACTORY``.

    Raises:
        UsageError: when it is none, or there is no such file.
    """
    source, colon, factory = spec.rpartition(":")
    if not colon or not source or not factory.replace(".", "_").isidentifier():
        raise UsageError(f"{spec}: FILE.py:FACTORY is needed, such as net.py:make")
    from pathlib import Path

    if not Path(source).is_file():
        raise UsageError(f"{source}: no such file")
    return source


def interpreter(name: str) -> str:
    """An interpreter by its path, its name on PATH, or the folder of its environment.

    Raises:
        UsageError: when there is none.
    """
    import shutil
    from pathlib import Path

    if Path(name).is_dir():
        name = str(Path(name) / "bin" / "python")
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"--python {name}: no such interpreter")
    # Not resolved: an environment's python is a link, and it is the link that makes it that environment's.
    return str(Path(found).absolute())
