"""``python -m gradtui`` and the ``gradtui`` command."""

from __future__ import annotations

from gradtui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
