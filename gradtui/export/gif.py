"""A layer's features over training as an animated GIF, in the colours of the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradtui.core.analysis.evolution import GAP_LEVEL
from gradtui.core.scale import LEVELS
from gradtui.errors import UnreadableFile, UsageError
from gradtui.folder.history.kept import read_evolution
from gradtui.viewmodel.colours import NONFINITE, TRUE_LEVELS

if TYPE_CHECKING:
    import os

    import numpy as np
    import numpy.typing as npt

    from gradtui.core.analysis.evolution import Evolution

SIDE: Final = 320
"""Pixels that the longer side of a map has at least; a cell is a whole number of them."""
LARGEST: Final = 4096
CAPTION: Final = 14
BAR: Final = 3
MISSING: Final = "a GIF needs Pillow, which is not installed here: install gradtui[gif]"
_GROUND, _INK = "101010", "d8d8d8"
_GROUND_INDEX, _INK_INDEX = 40, 41


def export_gif(
    location: str | os.PathLike[str],
    layer: str,
    out: str | os.PathLike[str],
    *,
    runs: frozenset[str] = frozenset(),
    role: str = "",
    fps: float = 5.0,
    channel: int = -1,
    scale: str = "linear",
) -> Evolution:
    """Write what a watched run kept of a layer as a GIF, and return what was drawn; see `write_gif`.

    Args:
        location: the folder of the run.
        layer: a module path (``path#1`` for its second call) or a parameter's full name.
        out: the file.
        runs: names of the run; empty for the newest of the folder.
        role: whose tensor, where more than the output was kept.
        fps: frames a second.
        channel: one alone; all side by side where it is negative.
        scale: one of `gradtui.core.scale.SCALES`.

    Raises:
        FolderMissing: the folder holds no watched run.
        UsageError: as `write_gif`, or nothing of that name was kept.
        UnreadableFile: the file can't be written.
    """
    evolution = read_evolution(location, layer, role, runs)
    write_gif(evolution, out, fps=fps, channel=channel, scale=scale)
    return evolution


def write_gif(
    evolution: Evolution,
    out: str | os.PathLike[str],
    *,
    fps: float = 5.0,
    channel: int = -1,
    scale: str = "linear",
) -> int:
    """Write the frames of an evolution as a GIF that repeats, and return how many there are.

    Below each map stand its step and a bar that grows with it; all frames have one scale.

    Args:
        evolution: what a run kept of one tensor.
        out: the file, replaced whole.
        fps: frames a second, above 0 and at most 50, which is what players show.
        channel: one alone; all side by side where it is negative.
        scale: one of `gradtui.core.scale.SCALES`.

    Raises:
        UsageError: Pillow is not installed, or there is no such channel, scale or speed, or nothing to draw.
        UnreadableFile: the file can't be written.

    Special values: NaN and infinities have colours of their own; a tensor that never changes is still.
    """
    if not 0 < fps <= 50:
        raise UsageError(f"fps={fps}: more than 0 and at most 50 frames a second")
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise UsageError(MISSING) from None
    levels = evolution.levels(scale, channel)
    if not levels.size:
        raise UsageError(f"{evolution.key.name}: nothing to draw, its tensors are empty")
    height, width = levels.shape[1:]
    cell = max(1, SIDE // max(height, width))
    if max(height, width) * cell > LARGEST:
        raise UsageError(
            f"{evolution.key.name}: a map of {height} × {width} is too large for a GIF"
        )
    frames: list[Any] = []
    last = int(evolution.steps[-1])
    # The font that is always there has no other characters, and a name from a file may hold any.
    caption = "".join(c if " " <= c <= "~" else "?" for c in evolution.key.name)
    for step, map_levels in zip(evolution.steps, levels, strict=True):
        pixels = _indices(map_levels).repeat(cell, axis=0).repeat(cell, axis=1)
        frame = Image.new("P", (pixels.shape[1], pixels.shape[0] + CAPTION + BAR), _GROUND_INDEX)
        frame.putpalette(_palette())
        picture = Image.fromarray(pixels)
        frame.paste(picture, (0, 0))
        draw = ImageDraw.Draw(frame)
        draw.fontmode = "1"
        draw.text((2, pixels.shape[0] + 1), f"{caption}  step {step}", fill=_INK_INDEX)
        share = (int(step) + 1) / (last + 1) if last >= 0 else 1.0
        end = max(1, round(share * pixels.shape[1]))
        bottom = frame.size[1]
        draw.rectangle((0, bottom - BAR, end - 1, bottom - 1), fill=_INK_INDEX)
        frames.append(frame)
    _save(frames, out, round(1000 / fps))
    return len(frames)


def _save(frames: list[Any], out: str | os.PathLike[str], milliseconds: int) -> None:
    path = Path(out)
    beside = path.with_name(f"{path.name}.writing")
    try:
        frames[0].save(
            beside,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=milliseconds,
            loop=0,
            optimize=False,
            disposal=1,
        )
        beside.replace(path)
    except OSError as error:
        raise UnreadableFile(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def _indices(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    indices: npt.NDArray[np.uint8] = levels.copy()
    indices[levels == GAP_LEVEL] = _GROUND_INDEX
    for place, level in enumerate(NONFINITE):
        indices[levels == level] = LEVELS + place
    return indices


def _palette() -> list[int]:
    colours = [*TRUE_LEVELS, *NONFINITE.values()]
    colours += [_GROUND] * (_GROUND_INDEX - len(colours)) + [_GROUND, _INK]
    return [channel for colour in colours for channel in bytes.fromhex(colour)]
