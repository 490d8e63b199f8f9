"""A debug folder into one consistent session, or a reason why not now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, cast

from gradtui.core.assemble import assemble
from gradtui.core.session import Session
from gradtui.errors import FileBusy, FolderMissing, InvalidContents, UnreadableFile
from gradtui.folder.adapter_state import AdapterState, read_adapter
from gradtui.folder.commit import Commit, read_commit
from gradtui.folder.inputs import InputRead, choose_input, no_array
from gradtui.folder.location import FLOW_INFO, INPUT, TARGET, DebugFolder
from gradtui.folder.parts import (
    SETTLE,
    MayBeWritten,
    Part,
    busy_if_unsettled,
    is_committed,
    living_writers,
    read_part,
    require_folder,
    wait_or_pass,
)
from gradtui.folder.reading import MAX_BYTES
from gradtui.folder.stamp import Stamps, stamps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gradtui.core.arrays import Array


@dataclass(frozen=True, slots=True)
class Loaded:
    """A folder as of one moment.

    Attributes:
        session: What the files say.
        stamps: The stamps that were true before and after the files were read.
        writer: ``gradtui`` when its commits vouch for the flows, else ``foreign``.
        generation: The adapter's generation; 0 for a foreign folder.
        answers: The viewer's generation that the adapter computed it from.
        viewer_generation: The viewer's last save; larger than ``answers`` while the adapter has not answered.
        adapter: What the adapter says of itself.
        input: The input that counts, and where it came from.
        input_name: The name under which the ``.npy`` was looked for.
        estimate: The estimate that unmeasured flows have in the session.
        unanswered: Whether the input was saved after the flows were computed, as far as the commits tell.
        notes: What a person should know, one line each.
        parts: The files by contract name.
        size: Bytes of the files that the session's arrays are views of.
    """

    session: Session
    stamps: Stamps = field(default_factory=Stamps)
    writer: str = "foreign"
    generation: int = 0
    answers: int = 0
    viewer_generation: int = 0
    adapter: AdapterState = field(default_factory=AdapterState)
    input: InputRead = field(default_factory=InputRead)
    input_name: str = INPUT
    estimate: str = ""
    unanswered: bool = False
    notes: tuple[str, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    size: int = 0


class Doubtful(FileBusy):
    """Everything was read, and a file that no commit vouches for may still be written.

    Attributes:
        parts: What was read, for the next try.
        has_writer: Whether a living process says that it is writing.
    """

    def __init__(self, busy: FileBusy, parts: Mapping[str, Part], has_writer: bool) -> None:
        super().__init__(busy.path, busy.reason)
        self.parts = parts
        self.has_writer = has_writer


def nothing_loaded() -> Loaded:
    """The value before the first load."""
    return Loaded(Session.empty())


def load(
    folder: DebugFolder,
    *,
    max_bytes: int = MAX_BYTES,
    estimate: str = "proportional",
    input_name: str = INPUT,
    settle: float = SETTLE,
    before: Loaded | None = None,
    kept: Mapping[str, Part] | None = None,
) -> Loaded:
    """Read a debug folder.

    A file that a commit vouches for is taken at once. Any other is taken when no living process says that it is
    writing, when it was left alone for ``settle`` seconds, and when its stamp is the same before and after.

    Args:
        folder: Where.
        max_bytes: Larger files are refused.
        estimate: How flows that were not measured are estimated.
        input_name: The input's file name.
        settle: Seconds.
        before: The load before this one: files that did not change are not read again.
        kept: What a `Doubtful` try had read already.

    Raises:
        Doubtful: All could be read, and a writer may still be at work.
        FileBusy: A writer is at work, or may be: keep what is shown, ask again.
        UnreadableFile: A file is broken, hostile, too large or of another kind.
        FolderMissing: There is no debug folder.
    """
    require_folder(folder)
    known = {**(before.parts if before is not None else {}), **(kept or {})}
    at_first = stamps(folder, input_name)
    commits = (read_commit(folder, "adapter"), read_commit(folder, "viewer"))
    parts, doubt = _read_parts(
        folder, (FLOW_INFO, input_name, TARGET), commits, known, max_bytes, settle
    )
    at_last = stamps(folder, input_name)
    if at_first.data != at_last.data or at_first.control != at_last.control:
        raise FileBusy(folder.shown, "changed while it was read")
    if not parts[FLOW_INFO].exists:
        raise FolderMissing(folder.shown, f"no {folder.flow_info.name} there")
    adapter = read_adapter(folder)
    try:
        loaded = _assemble(folder, commits, parts, estimate, before)
    except UnreadableFile as error:
        # Files that do not fit together may be of two generations.
        if doubt is None or not doubt.has_writer:
            raise (error if doubt is None else MayBeWritten(error)) from None
    if doubt is not None:
        try:
            raise doubt from None
        finally:
            # Its traceback holds this frame: a circle that would keep all that was read in memory.
            del doubt
    return replace(
        loaded, stamps=at_last, adapter=adapter, input_name=input_name, estimate=estimate
    )


def _read_parts(
    folder: DebugFolder,
    names: tuple[str, ...],
    commits: tuple[Commit, Commit],
    known: Mapping[str, Part],
    max_bytes: int,
    settle: float,
) -> tuple[dict[str, Part], Doubtful | None]:
    """The files, and why they may not be shown yet, if so."""
    writers = living_writers(folder)
    parts: dict[str, Part] = {}
    doubtful: list[Part] = []
    for name in names:
        try:
            part = read_part(
                folder, name, commits, max_bytes=max_bytes, before=known.get(name, Part(name))
            )
        except UnreadableFile as error:
            raise busy_if_unsettled(error, folder, name, writers, settle) from None
        parts[name] = part
        if part.exists and not is_committed(part, commits):
            doubtful.append(part)
    # Only after all were read: a file that is plainly broken is told at once, not after a wait.
    try:
        for part in doubtful:
            wait_or_pass(folder, part.name, part.stamp, writers, settle)
    except FileBusy as busy:
        has_writer = any(writer.is_here and writer.is_alive for writer in writers)
        return parts, Doubtful(busy, parts, has_writer)
    return parts, None


def _assemble(
    folder: DebugFolder,
    commits: tuple[Commit, Commit],
    parts: Mapping[str, Part],
    estimate: str,
    before: Loaded | None,
) -> Loaded:
    of_adapter, of_viewer = commits
    flow_info, target = parts[FLOW_INFO], parts[TARGET]
    npy = next(part for name, part in parts.items() if name not in (FLOW_INFO, TARGET))
    ours = is_committed(flow_info, commits) and of_adapter.generation > 0
    saved = npy.exists and is_committed(npy, (of_viewer,))
    chosen = choose_input(
        npy, flow_info, later_save=saved and of_viewer.generation > of_adapter.answers
    )
    if saved and chosen.source == "npy":
        chosen = replace(chosen, generation=of_viewer.generation)
    notes = [chosen.note] if chosen.note else []
    if of_adapter.generation and not ours:
        notes.append(f"{FLOW_INFO} is not what its adapter committed: taken as another program's")
    # Flows that lost their commit are another program's, whatever the numbers in the folder say.
    generation = of_adapter.generation if ours else 0
    writer = "gradtui" if ours else "foreign"
    loaded = Loaded(
        session=Session.empty() if before is None else before.session,
        writer=writer,
        generation=generation,
        answers=of_adapter.answers if ours else 0,
        viewer_generation=of_viewer.generation if saved else 0,
        input=chosen,
        input_name=npy.name,
        estimate=estimate,
        unanswered=saved
        and (
            of_viewer.generation > of_adapter.answers
            if ours
            else is_committed(flow_info, (of_viewer,))
        ),
        notes=tuple(notes),
        parts=parts,
        size=sum(max(part.stamp.size, 0) for part in parts.values()),
    )
    if before is not None and _is_same(before, loaded):
        return loaded
    last = target.array if target.exists else no_array()
    try:
        session = _session(folder, flow_info, chosen.array, last, loaded)
    except InvalidContents as error:
        raise UnreadableFile(_culprit(folder, parts, loaded), str(error)) from None
    return replace(loaded, session=session)


def _session(
    folder: DebugFolder, flow_info: Part, input_: Array, target: Array, loaded: Loaded
) -> Session:
    return assemble(
        cast("Mapping[str, object]", flow_info.root),
        input_,
        target,
        folder=folder.shown,
        generation=loaded.generation,
        writer=cast("Literal['gradtui', 'foreign']", loaded.writer),
        estimate=loaded.estimate,
    )


def _culprit(folder: DebugFolder, parts: Mapping[str, Part], loaded: Loaded) -> Path:
    """Which file does not fit: the pickle, unless it does without the input, or without the target."""
    flow_info, target = parts[FLOW_INFO], parts[TARGET]
    last = target.array if target.exists else no_array()
    for path, input_, last_ in (
        (folder.path(loaded.input_name), no_array(), last),
        (folder.target, loaded.input.array, no_array()),
    ):
        try:
            _session(folder, flow_info, input_, last_, loaded)
        except InvalidContents:
            continue
        return path
    return folder.flow_info


def _is_same(before: Loaded, now: Loaded) -> bool:
    """Whether the session that was assembled before is what these parts would give."""
    return (
        before.estimate == now.estimate
        and before.generation == now.generation
        and before.writer == now.writer
        and before.input.digest == now.input.digest
        and before.parts.keys() == now.parts.keys()
        and all(before.parts[name].value is part.value for name, part in now.parts.items())
    )
