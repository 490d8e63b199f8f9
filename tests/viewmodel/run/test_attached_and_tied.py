"""Tensors that were attached, and modules and parameters that are used at several places, in the Overview of a run."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from kit.attached import tied, with_tensors
from kit.runs import Training as Made

from gradtui.core.run.records import ModuleInfo, ParameterInfo
from gradtui.viewmodel.run.choice import NEWEST, RunChoice
from gradtui.viewmodel.run.detail import module_detail
from gradtui.viewmodel.run.document import run_parts
from gradtui.viewmodel.run.lines import row
from gradtui.viewmodel.run.training import Training, shown_nodes, training_of
from gradtui.viewmodel.run.tree import module_tree
from gradtui.viewmodel.run.watch import Watch
from gradtui.viewmodel.text import number, plain


def shown(run, **choice):
    training = training_of(run, (), Training())
    return training, [training.tree.paths[n] for n in shown_nodes(training, RunChoice(**choice))]


def text(training, path, width=80, **options):
    options = {"flat": False, "folded": False} | options
    return plain(row(training, training.tree.node(path), width, **options))


def test_attached_tensors_stand_below_their_parent_after_its_modules():
    training, paths = shown(with_tensors().run())
    assert paths == ["", "block", "block.a", "block.b", "block.hidden", "stem"]
    assert text(training, "block.hidden").startswith("  ◇ hidden ")
    assert text(training, "stem").startswith("◇ stem ")
    assert text(training, "stem", ascii=True).startswith("o stem ")
    assert "tensor" in text(training, "stem").split()
    # At step 290, the newest at which outputs were measured.
    assert text(training, "stem").split()[3:5] == ["7", "2.0e2"]
    assert {"tensor", "25.0%"} <= set(text(training, "stem", 120).split())
    assert "▁" in text(training, "stem")
    assert "█" in text(training, "stem")


def test_what_is_attached_adds_nothing_to_the_modules_above_it():
    with_them = training_of(with_tensors().run(), (), Training())
    plain_run = Made()
    plain_run.modules.append(ModuleInfo("block", "Block"))
    without = training_of(plain_run.layer("block.a").layer("block.b").run(), (), Training())
    for name in ("weight", "gradient", "ratio", "zeros", "dead", "output_gradient"):
        ours, theirs = (getattr(t.numbers, name)[:4] for t in (with_them, without))
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    np.testing.assert_array_equal(with_them.trends[:4], without.trends)
    assert with_them.tree.named.sum() == 4


def test_a_module_below_which_only_a_tensor_stands_keeps_its_own_numbers():
    made = with_tensors().layer("head", shape=(10, 64))
    made.set("head", "output", "zeros", 32 * 64 / 2)
    made.set("head.scores", "output", "l2", 1.0)
    training = training_of(made.run(), (), Training())
    node = training.tree.node("head")
    assert training.numbers.zeros[node] == pytest.approx(0.5)
    assert training.tree.modules[node]
    assert "its own" not in plain(module_detail(made.run(), training, "head", 120)[0])


def test_attached_tensors_are_sorted_filtered_and_found():
    run = with_tensors().run()
    _, paths = shown(run, sort="gradient")
    assert paths[:2] == ["stem", "block.hidden"]
    assert set(paths[2:]) == {"block.a", "block.b"}
    assert shown(run, filter="tensor")[1] == ["block.hidden", "stem"]
    assert shown(run, filter="hidden")[1] == ["block.hidden"]


def test_a_gradient_of_an_attached_tensor_that_is_not_finite_is_told():
    training = training_of(with_tensors(hidden=3).run(), (), Training())
    cells = text(training, "block.hidden").split()
    assert cells[4] == "nan"
    assert "x" in cells[5]
    # Its own norm is finite, and so are the sums above it.
    assert cells[3] == "5"
    assert "nan" not in text(training, "block")


def test_an_attached_tensor_without_a_gradient_says_so():
    made = Made().layer("a")
    made.set("a.h", "output", "l2", 1.0)
    training = training_of(made.run(), (), Training())
    assert text(training, "a.h").split()[4] == "none"
    assert math.isnan(training.numbers.ratio[training.tree.node("a.h")])


def test_the_series_of_an_attached_tensor_can_be_chosen_and_pinned():
    watch = Watch()
    watch.arrived(with_tensors().run(), (), 1.0)
    key = watch.key(RunChoice(path="block.hidden"))
    assert key is not None
    assert (key.path, key.role, key.quantity) == ("block.hidden", "output gradient", "l2")


def test_the_detail_of_an_attached_tensor_has_its_values_and_their_gradient():
    run = with_tensors().run()
    lines = [plain(one) for one in module_detail(run, training_of(run, (), Training()), "stem", 80)]
    assert lines[0].startswith(" stem  attached tensor")
    assert any(one.startswith(" |y|2 7 at 290  -1 .. 2") for one in lines)
    assert any(one.startswith(" |dy|2 ") for one in lines)
    at_its_step = module_detail(run, training_of(run, (), Training()), "stem", 80, cursor=290)
    assert any(plain(one).startswith(" |y|2 7  -1 .. 2") for one in at_its_step)
    # The share is of all calls, as in the row.
    made = with_tensors()
    for quantity, value in (("count", 100), ("zeros", 75)):
        made.set("stem", "output", quantity, value, call=1)
    twice = made.run()
    title = plain(module_detail(twice, training_of(twice, (), Training()), "stem", 80)[0])
    assert title == " stem  attached tensor  zeros of y 50.0%"
    above = plain(module_detail(run, training_of(run, (), Training()), "block", 80)[0])
    assert "2 modules below  1 attached tensor below" in above


def test_a_document_has_attached_tensors_beside_the_modules():
    found = json.loads("".join(run_parts(with_tensors().run(), ())))
    assert [each["path"] for each in found["modules"]] == ["", "block", "block.a", "block.b"]
    attached = {each["path"]: each["statistics"] for each in found["attached"]}
    assert set(attached) == {"block.hidden", "stem"}
    assert {each["role"] for each in attached["stem"]} == {"output", "output gradient"}
    assert json.loads("".join(run_parts(Made().layer("a").run(), ())))["attached"] == []


def test_a_module_that_is_used_again_stands_there_too_and_says_which_one_it_is():
    training, paths = shown(tied().run())
    assert paths == ["", "embed", "fc", "block", "block.inner", "head"]
    assert text(training, "block.inner").startswith("    inner = fc ")
    assert "block.inner" not in shown(tied().run(), sort="gradient")[1]
    assert shown(tied().run(), filter="inner")[1] == ["block.inner"]
    watch = Watch()
    watch.arrived(tied().run(), (), 1.0)
    assert watch.recorded(RunChoice(path="block.inner")) == "fc"
    lines = [plain(one) for one in module_detail(tied().run(), training, "block.inner", 80)]
    assert lines[0] == " block.inner  is the same module as fc"
    assert "enter goes to it" in lines[1]


def test_a_weight_of_another_module_has_its_shape_in_brackets_and_its_owner_in_the_detail():
    training, _ = shown(tied().run())
    cells = text(training, "head").split()
    assert cells[1] == "(64x64)"
    # It is counted where it is first: nothing is missing here.
    assert cells[2:4] == ["·", "·"]
    lines = [plain(one) for one in module_detail(tied().run(), training, "head", 80)]
    assert any("weight is embed.weight" in one for one in lines)
    first = [plain(one) for one in module_detail(tied().run(), training, "embed", 80)]
    assert any("weight is used as head.weight" in one for one in first)


def test_of_a_block_that_is_used_again_the_block_is_the_second_name():
    modules = [ModuleInfo(p, "M") for p in ("", "a", "a.fc")]
    parameters = [ParameterInfo("a.fc", "weight", (2, 2), shared=("b.fc.weight",))]
    tree = module_tree(modules, parameters)
    assert tree.paths == ("", "a", "a.fc", "b")
    assert tree.aliases == {"b": "a"}


def test_names_that_no_module_stands_above_do_no_harm():
    tree = module_tree([], [ParameterInfo("", "w", (2,), shared=("x.y.w", "v"))])
    assert tree.aliases == {"x": ""} or "x.y" in tree.aliases
    assert module_tree([], [ParameterInfo("", "w", (2,), shared=("",))]).paths[0] == ""


def test_a_module_without_parameters_that_is_used_again_has_both_its_names():
    made = Made().layer("0")
    made.modules.append(ModuleInfo("1", "ReLU", shared=("3",)))
    made.output("1", 32)
    made.layer("2").layer("4")
    training, paths = shown(made.run())
    assert paths == ["", "0", "1", "2", "4", "3"]
    assert text(training, "3").startswith("  3 = 1 ")
    assert training.tree.named.sum() == 5
    run = made.run()
    lines = [plain(one) for one in module_detail(run, training, "3", 80)]
    assert lines[0] == " 3  is the same module as 1"
    assert " is used as 3 too" in [plain(one) for one in module_detail(run, training, "1", 80)]
    found = json.loads("".join(run_parts(run, ())))["modules"]
    assert {each["path"]: each["shared"] for each in found if each["shared"]} == {"1": ["3"]}


def test_blocks_with_a_second_name_in_each_are_alike_and_second_names_are_no_blocks():
    modules = [ModuleInfo("", "M"), ModuleInfo("act", "ReLU", shared=("x", "y", "z"))]
    blocks = [f"b.{k}" for k in range(4)]
    modules += [ModuleInfo(path, "Block") for path in ("b", *blocks)]
    modules += [ModuleInfo(f"{path}.fc", "Linear") for path in blocks]
    act = modules[1]
    modules[1] = ModuleInfo("act", "ReLU", shared=(*act.shared, *(f"{b}.act" for b in blocks)))
    tree = module_tree(modules)
    assert int(tree.repeats[tree.node("b")]) == 4
    assert not any("…" in path for path in tree.paths)
    assert set(tree.aliases) == {"x", "y", "z", *(f"{b}.act" for b in blocks)}
    # A module of second names alone has all of them.
    only = module_tree([ModuleInfo("", "M"), ModuleInfo("c", "C"), act])
    assert {"x", "y", "z"} <= set(only.paths)
    inner = ModuleInfo("act", "ReLU", shared=("c.x", "c.y", "c.z"))
    within = module_tree([ModuleInfo("", "M"), inner, ModuleInfo("c", "C")])
    assert int(within.repeats[within.node("c")]) == 0


def test_a_block_with_parameters_has_its_second_name_from_either():
    modules = [ModuleInfo("", "M"), ModuleInfo("a", "A", shared=("b",)), ModuleInfo("a.fc", "L")]
    parameters = [ParameterInfo("a.fc", "weight", (2, 2), shared=("b.fc.weight",))]
    tree = module_tree(modules, parameters)
    assert tree.paths == ("", "a", "a.fc", "b")
    assert tree.aliases == {"b": "a"}


def test_the_gradient_of_a_weight_says_whose_it_is_and_the_steps_of_what_is_measured_seldom():
    made = Made(steps=96).layer("a")
    often = made.of("a", "gradient", "l2", "weight")
    for name, value in (("minimum", -0.5), ("maximum", 0.25)):
        made.set("a", "gradient", name, value, slot="weight")
    run = made.run()
    training = training_of(run, (), Training())
    norm = number(float(np.float32(often[-1])), 8, digits=2)
    for cursor, at in ((NEWEST, ""), (95, ""), (40, " at 95")):
        lines = [plain(each) for each in module_detail(run, training, "a", 80, cursor=cursor)]
        assert f" |dW|2 weight {norm}{at}  -0.5 .. 0.25 at 90" in lines
