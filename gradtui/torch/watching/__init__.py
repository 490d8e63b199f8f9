"""Watching a training: hooks that read and never write, and a thread that records what they read."""
