"""Where a person's own files are: state and settings, by the XDG rules."""

from __future__ import annotations

import os
from pathlib import Path


def state_home() -> Path:
    """The folder of what gradtui remembers: ``$XDG_STATE_HOME/gradtui``, or the platform's own place."""
    chosen = os.environ.get("XDG_STATE_HOME", "")
    if Path(chosen).is_absolute():
        return Path(chosen) / "gradtui"
    from platformdirs import user_state_path

    return user_state_path("gradtui", appauthor=False)


def config_home() -> Path:
    """The folder of the person's settings: ``$XDG_CONFIG_HOME/gradtui``, or the platform's own place."""
    chosen = os.environ.get("XDG_CONFIG_HOME", "")
    if Path(chosen).is_absolute():
        return Path(chosen) / "gradtui"
    from platformdirs import user_config_path

    return user_config_path("gradtui", appauthor=False)
