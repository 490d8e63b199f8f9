# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The served loop where an answer can't be written, an input does not fit, or it is interrupted."""

import threading
from contextlib import contextmanager

import numpy as np
import torch
from kit.waiting import until
from torch import nn

from gradtui.errors import SaveFailed
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.commit import read_commit
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.requests import answer, ask, read_answer
from gradtui.torch import DebugAdapter


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
        assert load(folder, settle=0).session.layers[0].shape == (2, 4)
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
