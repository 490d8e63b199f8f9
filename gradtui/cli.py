"""The command line: arguments, exit codes, and which room each command opens."""

from __future__ import annotations


def main() -> int:
    """Run the command line and return its exit code."""
    return 2
