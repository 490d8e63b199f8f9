# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The served loop where an answer can't be written, an input does not fit, or it is interrupted."""

import os
import threading
from contextlib import contextmanager

import numpy as np
import torch
from kit.loading import session_of
from kit.seen import Seen
from kit.waiting import until
from torch import nn

from gradtui.errors import SaveFailed
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.commit import read_commit, write_generation
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.npy import encode_npy
from gradtui.folder.requests import answer, ask, read_answer
from gradtui.store.keeper import Keeper
from gradtui.torch import DebugAdapter
from gradtui.torch.flows import Cancelled


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)
        self.register_buffer("phases", torch.ones(3, dtype=torch.complex64))

    def forward(self, x):
        return self.b(self.a(x))


@contextmanager
def served(folder, **options):
    adapter = DebugAdapter(Complex(), folder=folder, **options)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: adapter.serve(stop=stop.is_set))
    thread.start()
    try:
        place = DebugFolder.at(folder)
        until(lambda: read_adapter(place).state == "serving", "the first generation")
        yield place
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def seen_by_a_viewer(folder):
    """A keeper of the folder, and what it has shown."""
    seen = Seen()
    keeper = Keeper(folder.root, on_change=seen)
    keeper.start()
    try:
        yield keeper, seen
    finally:
        keeper.stop()


def save(folder, value):
    """An input of one value, saved as a viewer does."""
    array = np.full((2, 4), value, dtype=np.float32)
    write_generation(folder, "viewer", {folder.input.name: encode_npy(array)}, answers=1)


def save_plainly(folder, value):
    """An input of one value, saved by another program, a while ago."""
    np.save(folder.input, np.full((2, 4), value, dtype=np.float32))
    os.utime(folder.input, (value, value))


def test_an_answer_that_no_file_holds_is_refused(tmp_path):
    with served(tmp_path, inputs=torch.rand(2, 4)) as folder:
        number = ask(folder, "tensor", module="", what="phases")
        until(lambda: read_answer(folder, number).status == "refused", "a refusal")
        assert read_answer(folder, number).reason


def test_a_full_disk_leaves_the_question_asked(tmp_path, monkeypatch):
    tried = []

    def full_once(folder, *args, **fields):
        tried.append(1)
        if len(tried) == 1:
            raise SaveFailed(folder.answers, "no space left on the device")
        answer(folder, *args, **fields)

    monkeypatch.setattr("gradtui.torch.serving.REFUSED_DISK_SECONDS", 0.05)
    monkeypatch.setattr("gradtui.torch.serving.answer", full_once)
    with served(tmp_path, inputs=torch.rand(2, 4)) as folder:
        number = ask(folder, "flow-row", pair=["a", "b"], node=0)
        until(lambda: read_answer(folder, number).status == "done", "the answer of the second try")
    assert len(tried) == 2
    assert read_commit(folder, "adapter").generation == 1


def test_another_model_s_input_is_left_alone(tmp_path):
    place = DebugFolder.at(tmp_path)
    tmp_path.mkdir(exist_ok=True)
    np.save(place.input, np.ones((8, 8), dtype=np.float32))
    before = place.input.read_bytes()
    with served(tmp_path, inputs=torch.rand(2, 4)) as folder:
        until(lambda: read_commit(folder, "adapter").generation == 1, "the first generation")
        until(
            lambda: "8x8, the model's is 2x4: it was left alone" in read_adapter(folder).message,
            "word",
        )
        assert not read_adapter(folder).error
        assert folder.input.read_bytes() == before
        assert session_of(folder, settle=0).layers[0].shape == (2, 4)
        np.save(folder.input, np.ones((2, 4), dtype=np.float32))
        until(lambda: read_commit(folder, "adapter").generation == 2, "the next generation")
        until(lambda: read_adapter(folder).message == "generation 2", "the end of the note")
        # What is saved while it serves was meant for it.
        np.save(folder.input, np.ones((3, 4), dtype=np.float32))
        until(lambda: read_adapter(folder).error, "the failure")


def test_an_input_within_another_model_s_flow_info(tmp_path):
    DebugAdapter(nn.Linear(3, 2), folder=tmp_path, inputs=torch.rand(5, 3)).run()
    adapter = DebugAdapter(Complex(), folder=tmp_path, inputs=torch.rand(2, 4))
    assert adapter.run() == 2
    session = load(DebugFolder.at(tmp_path)).session
    assert session.input.shape == (2, 4)
    assert any("it was not used" in str(note) for note in session.meta["notes"])


def test_an_interrupt_ends_the_loop_quietly(tmp_path):
    asked = []

    def stop():
        asked.append(1)
        if len(asked) > 20:
            raise KeyboardInterrupt
        return False

    DebugAdapter(Complex(), folder=tmp_path, inputs=torch.rand(2, 4)).serve(stop=stop)
    assert read_adapter(DebugFolder.at(tmp_path)).state == "stopped"


def test_a_full_disk_leaves_the_save_unanswered_until_there_is_room(tmp_path, monkeypatch):
    written, full = [], threading.Event()
    write = AdapterWriter.write

    def full_or_not(writer, *args, **options):
        written.append(1)
        if full.is_set():
            raise SaveFailed(writer.folder.flow_info, "no space left on the device")
        return write(writer, *args, **options)

    monkeypatch.setattr("gradtui.torch.serving.REFUSED_DISK_SECONDS", 0.05)
    monkeypatch.setattr(AdapterWriter, "write", full_or_not)
    with served(tmp_path, inputs=torch.rand(2, 4)) as folder, seen_by_a_viewer(folder) as look:
        keeper, seen = look
        first = seen.wait(lambda view: view.status.text == "live" and view.session.generation == 1)
        full.set()
        keeper.save(first.session.input + 1, seen=first)
        seen.wait(lambda view: "no space left on the device" in view.status.text)
        number = ask(folder, "flow-row", pair=["a", "b"], node=0)
        until(lambda: len(written) >= 4, "tries again")
        assert read_answer(folder, number).status == "waiting"
        assert "no space left" in keeper.view.status.text
        full.clear()
        seen.wait(lambda view: view.session.generation == 2 and view.status.text == "live")
        until(lambda: read_answer(folder, number).status == "done", "the answer")


def test_a_question_outlives_a_generation_that_a_newer_save_cuts_short(tmp_path, monkeypatch):
    begun, asked = [], []
    generate = DebugAdapter.generate

    def cut_short(adapter, writer, read, *, progress):
        begun.append(1)
        if len(begun) == 2:
            asked.append(ask(adapter.folder, "flow-row", pair=["a", "b"], node=0))
            raise Cancelled
        return generate(adapter, writer, read, progress=progress)

    monkeypatch.setattr(DebugAdapter, "generate", cut_short)
    with served(tmp_path, inputs=torch.rand(2, 4)) as folder:
        save(folder, 1)
        until(lambda: len(begun) == 3, "the generation after the one that was cut short")
        until(lambda: read_answer(folder, asked[0]).status != "waiting", "the answer")
        assert read_answer(folder, asked[0]).status == "done"
        assert read_adapter(folder).generation == 2


def test_a_generation_cut_short_is_made_where_the_input_is_the_last_one_again(
    tmp_path, monkeypatch
):
    begun = []
    generate = DebugAdapter.generate

    def cut_short(adapter, writer, read, *, progress):
        begun.append(read.array.max())
        if begun[-1] == 2:
            save_plainly(adapter.folder, 1)
            raise Cancelled
        return generate(adapter, writer, read, progress=progress)

    monkeypatch.setattr(DebugAdapter, "generate", cut_short)
    save_plainly(DebugFolder.at(tmp_path), 1)
    with served(tmp_path, inputs=torch.rand(2, 4)) as folder:
        save_plainly(folder, 2)
        until(lambda: len(begun) == 3, "the third")
        assert begun == [1, 2, 1]
        number = ask(folder, "flow-row", pair=["a", "b"], node=0)
        until(lambda: read_answer(folder, number).status == "done", "the answer")


def test_an_error_is_told_again_after_a_computation_was(tmp_path, monkeypatch):
    told, generate = [], DebugAdapter.generate

    def failing(adapter, writer, read, *, progress):
        if read.array.max() > 1:
            progress(0.5)
            told.append(read_adapter(adapter.folder).state)
            raise ValueError("too much ink")
        return generate(adapter, writer, read, progress=progress)

    monkeypatch.setattr("gradtui.torch.serving.SAID_AFTER_SECONDS", -1.0)
    monkeypatch.setattr(DebugAdapter, "generate", failing)
    with served(tmp_path, inputs=torch.rand(2, 4)) as folder:
        for k in (2, 3):
            save(folder, k)
            until(lambda k=k: len(told) == k - 1, "the computation")
            until(lambda: read_adapter(folder).message == "ValueError: too much ink", "the error")
            assert read_adapter(folder).state == "serving"
    assert told == ["computing", "computing"]
