"""``python -m gradtui`` and the ``gradtui`` command."""

from __future__ import annotations

from gradtui.signals import leave_by_exit


def main() -> int:
    """Run the command line of this process."""
    leave_by_exit()
    # Only now: most of a start is imports, and a signal may come while they run.
    from gradtui.cli import main

    return main()


if __name__ == "__main__":
    raise SystemExit(main())
