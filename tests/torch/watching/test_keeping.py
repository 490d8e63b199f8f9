# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Full tensors: what ``keep=`` names, and what the screen asks for."""

import time

import numpy as np
import pytest
import torch
from kit.waiting import until
from kit.watched import Watched
from torch import nn
from torch.nn import functional as F

from gradtui.core.run.keys import SeriesKey
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.requests import ask, read_answer
from gradtui.store.run.whole import read_run
from gradtui.torch import attach, watch


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.head = nn.Linear(3 * 16, 2)

    def forward(self, x):
        self.out = self.conv(x)
        if self.out.requires_grad:
            self.out.retain_grad()
        return self.head(self.out.flatten(1))


def net():
    torch.manual_seed(0)
    return Net()


def test_kept_outputs_gradients_and_parameters():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    weights = []
    with Watched(model, optimizer, keep=["conv", "head.weight"], log_freq=2) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 1, 4, 4)).sum().backward()
            weights.append(model.head.weight.detach().clone().numpy())
            optimizer.step()
    assert not watched.problems
    kept = {(step, record.key): record.values for step, record in watched.kept}
    assert sorted({step for step, _ in kept}) == [0, 2]
    found = kept[2, SeriesKey("conv", "output", "")]
    assert found.shape == (3, 4, 4)
    assert np.array_equal(found, model.out[0].detach().numpy())
    assert np.array_equal(
        kept[2, SeriesKey("conv", "output gradient", "")], model.out.grad[0].numpy()
    )
    assert np.array_equal(kept[2, SeriesKey("head", "parameter", "", "weight")], weights[2])


def test_what_names_nothing_is_told():
    model = net()
    watched = Watched(model, keep="nowhere")
    watched.handle.close()
    assert "nowhere" in watched.problems[0]


def test_the_values_view_opens_the_last_kept_gradients(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer, folder=tmp_path, keep=["conv", "head"], log_freq=1) as handle:
        model(torch.ones(2, 1, 4, 4)).sum().backward()
        optimizer.step()
        wanted = model.out.grad[0].sum(0).numpy()
    assert not handle.problems
    session = load(DebugFolder.at(tmp_path)).session
    assert [layer.name for layer in session.layers] == ["conv", "head"]
    assert np.allclose(session.layer("conv").gradient, wanted)


def test_requests_are_answered_between_steps(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    folder = DebugFolder.at(tmp_path)
    with watch(model, optimizer, folder=tmp_path, log_freq=1000) as handle:
        asked = {}
        ends = time.monotonic() + 20
        for step in range(100_000):
            optimizer.zero_grad()
            model(torch.ones(2, 1, 4, 4)).sum().backward()
            optimizer.step()
            handle.flush()
            if step == 3:
                asked = {
                    "gradient": ask(folder, "tensor", module="conv", call=0, what="gradient"),
                    "activation": ask(folder, "tensor", module="conv", call=0, what="activation"),
                    "bias": ask(folder, "tensor", module="conv", what="bias"),
                    "absent": ask(folder, "tensor", module="no.such", what="gradient"),
                    "second call": ask(folder, "tensor", module="conv", call=1, what="gradient"),
                    "flow": ask(folder, "flow-row", pair=["a", "b"], node=0),
                    "keep": ask(folder, "keep", module="conv"),
                }
            answers = {name: read_answer(folder, n) for name, n in asked.items()}
            if answers and all(a.status != "waiting" for a in answers.values()):
                break
            if time.monotonic() > ends:
                pytest.fail(f"{handle.problems} {handle.step} {handle._watcher.requests} {asked}")
    assert not handle.problems
    assert answers["gradient"].arrays["values"].shape == (2, 3, 4, 4)
    assert answers["activation"].arrays["values"].shape == (2, 3, 4, 4)
    assert answers["bias"].arrays["values"].shape == (3,)
    for name in ("absent", "second call", "flow"):
        assert answers[name].status == "refused", name
    assert answers["keep"].status == "done"


class Attaching(nn.Module):
    """A tensor that is attached at two places of a part, and one of the model itself that is attached late."""

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 1)
            self.seen = []

        def forward(self, x):
            first = attach(self.one(x).tanh(), self, "hidden")
            second = attach(F.dropout(2 * first, 0.3), self, "hidden")
            self.seen = [first, second]
            for tensor in self.seen:
                if tensor.requires_grad:
                    tensor.retain_grad()
            # What was kept must be what was attached, whatever is done to it later.
            return self.two(second.add_(1))

    def __init__(self):
        super().__init__()
        self.part = self.Part()
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        scores = x.new_ones(2, 4, 3, 3)
        if self.passes > 1:
            scores = attach(scores * self.part.one.weight, self, "scores")
        return self.part(x) + scores.sum()


def attaching(keep, steps=2, folder=None, **settings):
    """A training of it: the losses and weights, and what was recorded; bare where nothing is to be kept."""
    torch.manual_seed(0)
    model = Attaching()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    watched = Watched(model, optimizer, keep=keep, **settings) if keep else None
    losses, seen = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(2, 3)).sum()
        loss.backward()
        seen.append([(t.detach().clone(), t.grad.clone()) for t in model.part.seen])
        optimizer.step()
        losses.append(loss.item())
    if watched is not None:
        watched.handle.close()
    return losses, [p.detach().clone() for p in model.parameters()], seen, watched


@pytest.mark.parametrize("keep", ["part.hidden", "*hidden"])
def test_attached_tensors_are_kept_with_their_gradients_call_by_call(keep):
    _, _, seen, watched = attaching(keep)
    assert not watched.problems
    kept = {(step, record.key): record.values for step, record in watched.kept}
    assert len(kept) == len(watched.kept) == 2 * 2 * 2
    for step in range(2):
        first, second = seen[step]
        key = SeriesKey("part.hidden", "output", "")
        assert np.array_equal(kept[step, key], first[0])
        # Written to since.
        again = SeriesKey("part.hidden", "output", "", "", 1)
        assert np.allclose(kept[step, again], second[0] - 1, atol=1e-6)
        for call, (_, gradient) in enumerate((first, second)):
            back = SeriesKey("part.hidden", "output gradient", "", "", call)
            assert np.array_equal(kept[step, back], gradient)


def test_a_tensor_that_is_attached_late_is_kept_from_then_on_and_known_by_then():
    _, _, _, watched = attaching(["scores", "part"], steps=3)
    (problem,) = watched.problems
    assert problem == ("keep='scores' names no module, no parameter and no tensor attached so far")
    assert [(step, event.text) for step, event in watched.events("note")] == [(0, problem)]
    roles = [
        (step, r.key.role, r.values.shape) for step, r in watched.kept if r.key.path == "scores"
    ]
    assert roles == [
        (step, role, (4, 3, 3)) for step in (1, 2) for role in ("output", "output gradient")
    ]


def test_a_training_whose_attached_tensors_are_kept_is_the_bare_one():
    bare = attaching("", steps=4)
    kept = attaching(["part.hidden", "scores", "part.one"], steps=4)
    assert kept[0] == bare[0]
    assert all(torch.equal(a, b) for a, b in zip(kept[1], bare[1], strict=True))


def test_an_error_of_keeping_never_reaches_the_training(monkeypatch):
    def broken(*_):
        raise RuntimeError("of ours")

    bare = attaching("", steps=4)
    monkeypatch.setattr("gradtui.torch.watching.keeping.to_numpy", broken)
    kept = attaching("part.hidden", steps=4)
    assert kept[0] == bare[0]
    assert "attached part.hidden: RuntimeError: of ours" in kept[3].problems


def test_an_attached_tensor_is_asked_for_and_shown_under_its_name(tmp_path):
    torch.manual_seed(0)
    model, folder = Attaching(), DebugFolder.at(tmp_path)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step(handle):
        optimizer.zero_grad()
        model(torch.randn(2, 3)).sum().backward()
        optimizer.step()
        handle.flush()

    with watch(model, optimizer, folder=tmp_path, log_freq=1) as handle:
        step(handle)
        asked = [
            ask(folder, "keep", module="part.hidden"),
            ask(folder, "tensor", module="part.hidden", call=1, what="activation"),
            ask(folder, "keep", module="part.hiden"),
        ]

        def answers():
            step(handle)
            found = [read_answer(folder, n) for n in asked]
            return found if all(answer.status != "waiting" for answer in found) else []

        kept, tensor, unknown = until(answers, "answers")
        step(handle)
    assert not handle.problems
    assert (kept.status, tensor.status, unknown.status) == ("done", "done", "refused")
    assert tensor.arrays["values"].shape == (2, 3)
    assert unknown.reason == "no module, parameter or attached tensor is called 'part.hiden'"
    session = load(folder).session
    assert [layer.name for layer in session.layers] == ["part.hidden", "part.hidden#1"]
    assert session.meta["layers"]["part.hidden"]["module"] == "attached tensor"
    assert {tensor.kept.key.path for tensor in read_run(tmp_path).run.kept} == {"part.hidden"}


def test_what_two_patterns_name_is_kept_once_and_found_by_both():
    model = net()
    with Watched(model, keep=["head.weight", "head.*"]) as watched:
        model(torch.ones(2, 1, 4, 4)).sum().backward()
    assert not watched.problems
    assert sorted(record.key.slot for _, record in watched.kept) == ["bias", "weight"]


def test_empty_batches_are_nothing_to_keep():
    model = net()
    with Watched(model, keep="conv") as watched:
        for count in (2, 0, 0, 0, 2):
            model(torch.ones(count, 1, 4, 4)).sum().backward()
    assert not watched.problems
    assert all(record.values.size for _, record in watched.kept)


def test_too_much_is_left_out(monkeypatch):
    model = net()
    watched = Watched(model, keep="conv")
    monkeypatch.setattr(watched.handle._watcher.keeping, "_most", 3)
    model(torch.ones(2, 1, 4, 4)).sum().backward()
    watched.handle.close()
    assert not watched.kept
    assert "conv" in watched.problems[0]
