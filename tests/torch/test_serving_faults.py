# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The served loop where an answer can't be written, an input does not fit, or it is interrupted."""

import threading
from contextlib import contextmanager

import torch
from kit.waiting import until
from torch import nn

from gradtui.errors import SaveFailed
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.commit import read_commit
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
