"""Gradient flow of a PyTorch model in the terminal.

The root imports nothing, so that each room (``gradtui.core``, ``gradtui.folder``, ``gradtui.torch``,
``gradtui.tui``) loads only what it needs. In a training or debug process import ``gradtui.torch``.
"""

__version__ = "0.1.0"
