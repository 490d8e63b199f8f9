"""The adapter: a model, and what is captured of it, joined to a debug folder."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gradtui.errors import FileBusy, UsageError
from gradtui.folder.generation import MAX_LINK_BYTES, MAX_LINKS, AdapterWriter
from gradtui.folder.graph_file import write_graph
from gradtui.folder.inputs import InputRead, digest, load_input
from gradtui.folder.location import DebugFolder
from gradtui.folder.pickle_writer import encode
from gradtui.folder.stamp import MISSING, Stamp
from gradtui.folder.writing import replace_file
from gradtui.torch.flows import Effort
from gradtui.torch.forward import Pass, Plan, run_once
from gradtui.torch.inputs import Call, Template, as_call, default_prepare, torch_like
from gradtui.torch.layout import check_sample
from gradtui.torch.lifeline import undisturbed
from gradtui.torch.record import flow_info, input_gradient, to_numpy
from gradtui.torch.selection import INPUT, Selection, unused
from gradtui.torch.served import NoInput
from gradtui.torch.serving import Server
from gradtui.torch.tensors import (
    INPUT_KEY,
    TARGET_KEY,
    foreign_keys,
    kind_of,
    merged_flow_info,
    read_input,
)
from gradtui.torch.tracing.trace import seen_once_more

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

# So long `DebugAdapter.run` waits for whoever writes the input.
PATIENCE_SECONDS: Final = 8.0


class DebugAdapter:
    """Computes the exact gradient flow of a model for the input that stands in a debug folder.

    Nothing of the model is changed: training mode, gradients, buffers, parameters and random state are after
    each computation what they were before (see `gradtui.torch.guard.untouched` for what is put back). One limit:
    of a model of more than 16.8 million parameters (2**24) no copy is made, so that a forward pass that writes
    its own weights in place leaves them so. Backward
    hooks that the user set stay, and run again for each backward pass that a flow takes, one at a time: what
    such hooks keep for themselves is not put back, and the generation notes that there are some.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        device: str | torch.device = "cpu",
        *,
        folder: str | os.PathLike[str] = "gradtui-debug",
        layers: Sequence[str] | None = None,
        pairs: Sequence[tuple[str, str]] | None = None,
        loss: Callable[[Any], torch.Tensor] | None = None,
        prepare: Callable[[npt.NDArray[Any]], object] | None = None,
        inputs: object = None,
        target: Callable[[Any], npt.NDArray[Any]] | None = None,
        layouts: Mapping[str, str] | None = None,
        sample: int = 0,
        max_links: int = MAX_LINKS,
        max_seconds: float = 20.0,
    ) -> None:
        """Take a model; it is moved to ``device``, and nothing runs yet.

        Args:
            model: any module.
            device: where it runs.
            folder: the debug folder (or prefix) that `run` and `serve` use.
            layers: module paths or patterns (``encoder.*``; ``conv#1`` is call 1 of conv, counted from 0; ``input`` is
                the model's input). By default the input and every module with parameters of its own but normalisations.
            pairs: names of source and target of each flow. By default each layer and the next along the data's way,
                and the two ends of a skip connection.
            loss: from the model's output to what is differentiated; the sum of all outputs by default.
            prepare: from the folder's array, in this machine's byte order and as float64 where it is longer, to the
                model's arguments: a tensor, a tuple of them, or a dict of keyword arguments. By default see
                `gradtui.torch.inputs`.
            inputs: the arguments that the first generation is computed from; the first tensor of real numbers among
                them (else of integers) is edited through the folder. Not together with ``prepare``, unless an array.
            target: from the model's output to the map that is shown as target; the output by the rule for layers.
            layouts: letters of a layer's dimensions, where the rule of `gradtui.torch.layout` is not meant.
            sample: which sample of a batch is shown.
            max_links: a pair with more links is written as row and column sums, and single rows on request.
            max_seconds: the same for a pair whose flow takes longer.

        Raises:
            UsageError: when ``layers`` names no module, inputs hold no tensor, or ``sample`` is negative.
        """
        check_sample(sample)
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.folder = DebugFolder.at(folder)
        self.plan = Plan(
            Selection(tuple(layers or ())), tuple(pairs or ()), layouts, sample, loss, target
        )
        self.plan.selection.picks(model)
        self.effort = Effort(max_links, MAX_LINK_BYTES, max_seconds)
        self._kept: dict[Any, Any] | None = None
        self._template: Template | None = None
        self._misfit = ""
        self._drawn = False
        self._computed: npt.NDArray[Any] | None = None
        self.left_alone = ""
        self._initial: npt.NDArray[Any] | None = None
        self._prepare: Callable[[npt.NDArray[Any]], object]
        if prepare is not None:
            self._prepare = prepare
            if inputs is not None:
                value = inputs.detach() if isinstance(inputs, torch.Tensor) else inputs
                self._initial = np.asarray(value)
        elif inputs is not None:
            self._template = template = Template(as_call(inputs), sample)
            self._prepare, self._initial = template, template.to_map()
        else:
            self._prepare = default_prepare(model)

    def call_for(self, array: npt.NDArray[Any]) -> Call:
        """The model's arguments for an input array, on the device.

        Raises:
            UsageError: when the array is not one that the model takes.
        """
        given = self._prepare(torch_like(array))
        return (given if isinstance(given, Call) else as_call(given)).on(self.device)

    def capture_array(
        self,
        array: npt.NDArray[Any],
        *,
        progress: Callable[[float], None] | None = None,
        twice: bool = False,
        use: Callable[[Pass, dict[str, Any]], None] | None = None,
    ) -> tuple[Pass, dict[str, Any]]:
        """One computation, nothing written.

        Args:
            array: the input.
            progress: told the share of the flows that is done; may raise `gradtui.torch.flows.Cancelled`.
            twice: use kernels that can be differentiated twice.
            use: given both results while the graph is as the forward pass left it.

        Returns:
            The pass, whose graph is alive, and the root of ``flow_info.pkl``.

        Raises:
            UsageError: when a layer or pair that was asked for isn't there.
            Exception: whatever the model raises.
        """
        effort = replace(self.effort, progress=progress) if progress else self.effort
        found: dict[str, Any] = {}

        def record(run: Pass) -> None:
            found.update(flow_info(run.snapshot, effort))
            if use is not None:
                use(run, found)

        run = run_once(self.model, self.call_for(array), self.plan, use=record, twice=twice)
        if np.asarray(array).dtype.kind in "biu":
            notes = found["meta"].setdefault("notes", [])
            notes.append("the input is integers: it has no gradient")
        return run, found

    def compute_gradients(
        self, input_path: str | os.PathLike[str], output_path: str | os.PathLike[str]
    ) -> None:
        """Compute gradients from a file to a file.

        Args:
            input_path: ``.npy``, ``.pt`` or ``.pth`` (a tensor), or a ``flow_info.pkl`` with ``input_representation``.
            output_path: replaced whole (a link itself, not what it leads to). ``.npy``, ``.pt``, ``.pth``: the gradient of the input, in its shape. ``.pkl``: a whole
                ``flow_info.pkl``; other keys of one that is there already are kept.

        Raises:
            UnreadableFile: when the input can't be read.
            SaveFailed: when the disk refuses; what was there is still there.
            UsageError: for other suffixes, and where an integer input has no gradient to be written.
        """
        kind = kind_of(output_path)
        array = read_input(input_path)
        if kind != "flow_info":
            # The input's gradient alone is asked for: no flows.
            gradient, data = self._input_gradient(array), BytesIO()
            if kind == "npy":
                np.save(data, gradient)
            else:
                torch.save(torch.from_numpy(gradient), data)
            replace_file(Path(output_path), data.getvalue(), "adapter")
            return
        run, found = self.capture_array(array)
        fresh = {**found, INPUT_KEY: np.asarray(array), TARGET_KEY: run.target}
        root = merged_flow_info(output_path, fresh)
        replace_file(Path(output_path), b"".join(encode(root)), "adapter")

    def run(self) -> int:
        """Compute one generation into the folder.

        The input is the folder's; where it holds none, the ``inputs`` that the adapter was made with.

        Returns:
            The generation's number.

        Raises:
            UsageError: when there is no input.
            FileBusy: when another adapter serves the folder, or a writer is still at work after a few seconds.
            Exception: whatever the model raises.
        """
        with self.writer() as writer:
            number = self.generate(writer, self._read_patiently())[0]
            self.draw()
            return number

    def _read_patiently(self) -> InputRead:
        """The input to compute from; what was written a moment ago is waited for until it has settled."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = 0.01
        while True:
            try:
                return self.read_folder()
            except FileBusy:
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 0.1)

    def serve(self, *, stop: Callable[[], bool] | None = None) -> None:
        """Compute a generation now and one for every save of the input, and answer requests, until stopped.

        An error in the model is told in ``adapter.json``; the next save tries again. Ctrl-C is the way to stop:
        it returns quietly, and the folder says that the adapter has stopped.

        Args:
            stop: asked several times a second; by default only an interrupt or an exception ends it.

        Raises:
            FileBusy: when another adapter serves the folder.
        """
        with suppress(KeyboardInterrupt):
            Server(self, stop=stop or (lambda: False)).serve()

    def writer(self) -> AdapterWriter:
        """Claim the folder (see `AdapterWriter`), and remember what of it isn't ours."""
        writer = AdapterWriter(self.folder, torch=str(torch.__version__))
        self._kept = foreign_keys(self.folder.flow_info)
        return writer

    def read_folder(self, last: InputRead | None = None, own: Stamp = MISSING) -> InputRead:
        """The input to compute from now.

        With ``inputs`` given (and no ``prepare``), an input of another shape that stands in the folder at the start
        belongs to another model: it is left alone, and `left_alone` says so.

        Args:
            last: the input of the generation before.
            own: stamp of the ``flow_info.pkl`` that this adapter wrote: while it stays, it isn't read again.

        Raises:
            NoInput: when neither the folder nor the adapter has one.
            FileBusy: while the viewer writes.
            UnreadableFile: when the file is broken.
        """
        found = load_input(self.folder, own=own)
        if found.source and found.digest == self._misfit:
            return last or self._own_input(found.generation)
        if found.source and self._template is not None and last is None:
            shapes = self._template.misfit(found.array)
            if shapes:
                self._misfit = found.digest
                # What stands within flow_info.pkl goes with the generation that it belongs to.
                fate = "left alone" if found.source == "npy" else "not used"
                self.left_alone = (
                    f"the input in {self.folder.shown} is {shapes}: it was {fate}; "
                    "use another folder to keep both"
                )
                return self._own_input(found.generation)
        if found.source:
            self._misfit = self.left_alone = ""
            return found
        if last is not None:
            return last
        return self._own_input()

    def _own_input(self, generation: int = 0) -> InputRead:
        if self._initial is None:
            raise NoInput(f"{self.folder.input}: no input yet; save one there, or give inputs=")
        return InputRead(self._initial, generation=generation, digest=digest(self._initial))

    def generate(
        self,
        writer: AdapterWriter,
        read: InputRead,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> tuple[int, Pass]:
        """Compute and write one generation; returns its number and the pass it came from."""
        run, found = self.capture_array(read.array, progress=progress)
        if read.source != "npy":
            found[INPUT_KEY] = np.asarray(read.array)
        if self.left_alone:
            found["meta"].setdefault("notes", []).append(self.left_alone)
        root = {**(self._kept or {}), **found}
        # Ended between two of its files, a generation would be taken for another program's.
        with undisturbed():
            number = writer.write(root, run.target, answers=read.generation)
        self._computed = read.array
        return number, run

    def draw(self) -> None:
        """Write the model's architecture, once, after its first generation: by one more pass like that one's."""
        if self._computed is None or self._drawn:
            return
        self._drawn = True
        with suppress(Exception):
            # Whatever the model or the disk says: the gradients are there, and the graph comes with them.
            call = self.call_for(self._computed)
            write_graph(self.folder, seen_once_more(self.model, *call.args, **call.kwargs))

    def _input_gradient(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        call = self.call_for(array)
        if not call.edited.is_floating_point():
            raise UsageError("the input is integers: it has no gradient")
        found: list[torch.Tensor | None] = []
        name = unused(INPUT, [path for path, _ in self.model.named_modules()])
        plan = replace(self.plan, selection=Selection((name,)), pairs=())
        run_once(
            self.model,
            call,
            plan,
            use=lambda run: found.append(input_gradient(run.snapshot, name)),
        )
        gradient = torch.zeros_like(call.edited) if found[0] is None else found[0]
        if gradient.numel() == math.prod(np.shape(array)):
            gradient = gradient.reshape(np.shape(array))
        return to_numpy(gradient)
