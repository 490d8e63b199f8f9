"""Debug folders by what a person typed; cheap to import, nothing is read."""

from __future__ import annotations

from gradtui.folder.location import DebugFolder, find_folders


def newest_folder(start: str) -> str:
    """The location of the most recently written debug folder at or below a directory; empty when there is none."""
    found = find_folders(start)
    return found[0].given if found else ""


def folders_below(start: str) -> tuple[str, ...]:
    """The locations of all debug folders at or below a directory, the most recently written first."""
    return tuple(folder.given for folder in find_folders(start))


def is_debug_folder(location: str) -> bool:
    """Whether a file of the contract is at a folder or prefix.

    Raises:
        UsageError: The location is empty or holds a null byte.
    """
    return DebugFolder.at(location).exists()


def has_history(location: str) -> bool:
    """Whether a folder or prefix has the history of a training run.

    Raises:
        UsageError: The location is empty or holds a null byte.
    """
    return DebugFolder.at(location).has_history
