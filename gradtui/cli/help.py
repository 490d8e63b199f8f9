"""The text of ``gradtui --help``."""

from __future__ import annotations

from typing import Final

HELP: Final = """\
gradtui shows the gradient flow of a PyTorch model from a debug folder, in the terminal.

usage:
  gradtui [FOLDER]                 open a debug folder; without one, the newest at or below here
  gradtui demo                     a trained network on handwritten digits, to try everything on
  gradtui demo watch               a training beside the pane, in which things go wrong
  gradtui debug FILE.py:FACTORY    serve your own model beside the screen
  gradtui trace FILE.py:FACTORY    a model's architecture, also when its forward pass fails
  gradtui show FOLDER [--json]     the same folder as text or JSON, without a screen
  gradtui show FOLDER --runs       the runs that it holds; --run N of show, check, analyse and export takes one
  gradtui check RUN                what is wrong with a watched training; exit code 1 when something is
  gradtui analyse RUN              its gradients by epoch, clusters of weights, kernels and features alike
  gradtui export RUN --gif LAYER OUT.gif    features over the training, as a moving picture

FOLDER is a folder, or the beginning of file names (data/test_ for data/test_flow_info.pkl).
A folder that is called like a command is written with its path: gradtui ./show

options (gradtui COMMAND --help has those of a command):
  --estimate NAME    for flows that were not measured: proportional, equal, minimum-norm, vnittest
  --color WHEN       auto, truecolor, 256, 16, none
  --ascii            draw with ASCII characters alone
  --mouse            take the mouse too
  --wait             for a FOLDER that is not there yet: the pane waits until it is written
  --poll             look at the folder by the clock only, for network drives
  --max-bytes N      the largest file that is read; K, M, G after the number (default 1G)
  --version          the version
  -h, --help         this text

exit codes: 0 ended as asked; 1 check found something; 2 usage, or no such folder;
3 a file that cannot be read; 129, 130, 143 ended by HUP, INT, TERM
"""

HINT: Final = "try: gradtui FOLDER, gradtui demo, or gradtui --help"
