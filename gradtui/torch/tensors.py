"""The tensor files that `DebugAdapter.compute_gradients` takes and gives: npy, pt and flow_info.pkl."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gradtui.errors import FileBusy, UnreadableFile, UsageError
from gradtui.folder.npy import read_npy
from gradtui.folder.pickle_reader import read_flow_info
from gradtui.torch.record import to_numpy

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

KINDS: Final = {".npy": "npy", ".pt": "torch", ".pth": "torch", ".pkl": "flow_info"}
INPUT_KEY: Final = "input_representation"
TARGET_KEY: Final = "target_representation"
# What a generation of ours replaces; other keys of a flow_info.pkl that was there before are kept.
_OWN_KEYS: Final = frozenset({
    "activation_gradients", "gradient_flows", "channel_gradients", "layer_order", "meta",
    INPUT_KEY, TARGET_KEY,
})  # fmt: skip


def kind_of(path: str | os.PathLike[str]) -> str:
    """``npy``, ``torch`` or ``flow_info``, by the file's suffix.

    Raises:
        UsageError: for any other.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in KINDS:
        raise UsageError(f"{path}: a name in .npy, .pt, .pth or .pkl is needed")
    return KINDS[suffix]


def read_input(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The input that a file holds; nothing that is named in the file is run.

    Raises:
        UnreadableFile: when it holds no array of numbers.
        UsageError: for a suffix that isn't one of `KINDS`.
    """
    kind = kind_of(path)
    if kind == "npy":
        array: npt.NDArray[Any] = read_npy(Path(path))[0]
        return array
    if kind == "flow_info":
        found = read_flow_info(Path(path))[0].get(INPUT_KEY)
        if not isinstance(found, np.ndarray):
            raise UnreadableFile(path, f"no array under {INPUT_KEY!r}")
        return found
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise UnreadableFile(path, str(error).partition("\n")[0] or "not a tensor file") from error
    if isinstance(value, torch.Tensor) and not value.is_complex():
        return to_numpy(value)
    raise UnreadableFile(path, f"holds a {type(value).__name__}, not a tensor of real numbers")


def foreign_keys(path: Path) -> dict[Any, Any]:
    """What a flow_info.pkl holds that no generation of ours does; nothing where it can't be read."""
    try:
        there = read_flow_info(path)[0]
    except (FileBusy, UnreadableFile):
        return {}
    return {key: value for key, value in there.items() if key not in _OWN_KEYS}


def merged_flow_info(path: str | os.PathLike[str], fresh: dict[str, Any]) -> dict[Any, Any]:
    """What is to be written over a flow_info.pkl: the new, and what else stands there.

    Raises:
        UnreadableFile: when what stands there can't be read.
    """
    if not Path(path).exists():
        return fresh
    return {**read_flow_info(Path(path))[0], **fresh}
