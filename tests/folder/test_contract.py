"""The contract on disk, once for a folder and once for a prefix."""

from __future__ import annotations

import json
import os
import pickle
import socket
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit import hostile
from kit.folders import a_living_process, age, flow_info, pending_of, write_foreign

from gradtui.errors import (
    FileBusy,
    FolderMissing,
    SaveConflict,
    SaveFailed,
    UnreadableFile,
    UsageError,
)
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.commit import read_commit
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.inputs import load_input
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.save import save_input

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FolderContract:
    """Every form of a debug folder keeps these."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> DebugFolder:
        raise NotImplementedError

    def test_names_are_those_of_the_contract(self, folder: DebugFolder) -> None:
        with AdapterWriter(folder) as writer:
            writer.write(flow_info(), np.zeros((3, 4), np.float32))
        for name in ("flow_info.pkl", "target_representation.npy"):
            assert (folder.root / (folder.prefix + name)).is_file()
        assert (folder.root / (folder.prefix + "gradtui") / "commit-adapter.json").is_file()

    def test_python_and_numpy_read_what_is_written(self, folder: DebugFolder) -> None:
        with AdapterWriter(folder) as writer:
            writer.write(flow_info(), np.full((3, 4), 2, np.int8))
        root = pickle.loads(folder.flow_info.read_bytes())
        assert set(root) == {"activation_gradients", "gradient_flows"}
        assert np.array_equal(root["activation_gradients"]["conv1"], np.arange(12).reshape(3, 4))
        assert np.load(folder.target).dtype == np.int8

    def test_a_generation_is_read_at_once(self, folder: DebugFolder) -> None:
        with AdapterWriter(folder, torch="2.4") as writer:
            assert writer.write(flow_info(2.0), np.zeros((3, 4)), answers=5) == 1
            writer.set_state("serving", message="waiting")
            loaded = load(folder)
            assert loaded.writer == "gradtui"
            assert (loaded.generation, loaded.answers) == (1, 5)
            assert loaded.session.generation == 1
            assert loaded.session.layer("conv1").gradient[0, 1] == 2.0
            assert loaded.adapter.alive
            assert (loaded.adapter.state, loaded.adapter.torch) == ("serving", "2.4")
            assert writer.write(flow_info(3.0)) == 2
            assert load(folder).session.layer("conv1").gradient[0, 1] == 3.0
        assert read_adapter(folder).state == "stopped"
        assert not list(folder.root.glob("**/*tmp"))
        assert not folder.pending("adapter").exists()

    def test_foreign_files_wait_until_they_are_left_alone(self, folder: DebugFolder) -> None:
        write_foreign(folder, aged=False)
        with pytest.raises(FileBusy):
            load(folder)
        assert load(folder, settle=0.0).writer == "foreign"
        age(folder)
        loaded = load(folder)
        assert loaded.generation == 0
        assert loaded.session.writer == "foreign"
        assert loaded.input.source == "npy"

    def test_unchanged_files_are_not_read_again(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        first = load(folder)
        second = load(folder, before=first)
        assert second.session is first.session
        folder.input.write_bytes(hostile.npy_bytes(np.ones((3, 4))))
        age(folder, 30)
        third = load(folder, before=second)
        assert third.parts["flow_info.pkl"] is not second.parts["flow_info.pkl"]  # its time changed
        assert np.array_equal(third.session.input, np.ones((3, 4)))

    def test_nothing_there(self, folder: DebugFolder) -> None:
        with pytest.raises(FolderMissing):
            load(folder)
        folder.root.mkdir(parents=True, exist_ok=True)
        with pytest.raises(FolderMissing, match=r"flow_info\.pkl"):
            load(folder)

    def test_input_and_target_may_be_absent(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        folder.input.unlink()
        folder.target.unlink()
        loaded = load(folder)
        assert loaded.input.source == ""
        assert loaded.session.input.shape == (0, 0)
        assert loaded.session.target.shape == (0, 0)

    def test_a_living_writer_is_waited_for_and_a_dead_one_is_not(self, folder: DebugFolder) -> None:
        with AdapterWriter(folder) as writer:
            writer.write(flow_info(), np.zeros((3, 4)))
        folder.flow_info.write_bytes(pickle.dumps(flow_info(9.0)))
        age(folder)
        process = a_living_process()
        try:
            folder.pending("adapter").write_bytes(pending_of(process.pid))
            with pytest.raises(FileBusy, match="busy"):
                load(folder)
        finally:
            process.communicate()
        loaded = load(folder)
        assert loaded.writer == "foreign"
        assert loaded.session.layer("conv1").gradient[0, 1] == 9.0
        assert any("commit" in note for note in loaded.notes)

    def test_a_pending_file_does_not_lock_for_good(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        folder.sidecar.mkdir()
        folder.pending("adapter").write_bytes(pending_of(os.getppid()))
        with pytest.raises(FileBusy):
            load(folder)
        long_ago = time.time() - 40
        os.utime(folder.pending("adapter"), (long_ago, long_ago))
        assert load(folder).writer == "foreign"

    @pytest.mark.parametrize(
        "name", ["commit-adapter", "commit-viewer", "pending-adapter", "adapter"]
    )
    @pytest.mark.parametrize("make", [make for _, make in hostile.strange_places()])
    def test_a_strange_sidecar_does_not_hide_the_data(
        self, folder: DebugFolder, name: str, make: Callable[[Path], None]
    ) -> None:
        write_foreign(folder)
        folder.sidecar.mkdir()
        make(folder.sidecar / f"{name}.json")
        assert load(folder).writer == "foreign"

    @pytest.mark.parametrize(
        "which", ["flow_info.pkl", "input_representation.npy", "target_representation.npy"]
    )
    @pytest.mark.parametrize(("kind", "make"), list(hostile.strange_places()))
    def test_a_strange_file_is_named(
        self, folder: DebugFolder, which: str, kind: str, make: Callable[[Path], None]
    ) -> None:
        write_foreign(folder)
        folder.path(which).unlink()
        make(folder.path(which))
        with pytest.raises(UnreadableFile) as caught:
            load(folder)
        assert which in str(caught.value)

    @pytest.mark.parametrize(("name", "data"), list(hostile.odd_roots()))
    def test_odd_roots_are_named(self, folder: DebugFolder, name: str, data: bytes) -> None:
        write_foreign(folder)
        folder.flow_info.write_bytes(data)
        age(folder)
        with pytest.raises(UnreadableFile) as caught:
            load(folder)
        assert folder.flow_info.name in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("which", ["input_representation.npy", "target_representation.npy"])
    def test_the_array_that_does_not_fit_is_named(self, folder: DebugFolder, which: str) -> None:
        write_foreign(folder)
        folder.path(which).write_bytes(hostile.npy_bytes(np.zeros((4, 2, 2, 2))))
        age(folder)
        with pytest.raises(UnreadableFile) as caught:
            load(folder)
        assert caught.value.path == str(folder.path(which))

    def test_a_truncated_file_waits_and_other_damage_is_told_at_once(
        self, folder: DebugFolder
    ) -> None:
        write_foreign(folder, aged=False)
        folder.flow_info.write_bytes(pickle.dumps(flow_info())[:-20])
        with pytest.raises(FileBusy):
            load(folder)
        age(folder)
        with pytest.raises(UnreadableFile, match="truncated"):
            load(folder)
        folder.flow_info.write_bytes(b"cos\nsystem\n.")
        with pytest.raises(UnreadableFile, match="code"):
            load(folder)

    def test_save_keeps_the_dtype(self, folder: DebugFolder) -> None:
        write_foreign(folder, input_=np.zeros((3, 4), ">f4"))
        loaded = load(folder)
        saved = save_input(folder, np.full((3, 4), 1.5), seen=loaded)
        assert saved.generation == 1
        assert np.load(folder.input).dtype == np.dtype(">f4")
        assert np.load(folder.input)[0, 0] == 1.5

    @pytest.mark.parametrize("value", [0.5, 300.0, np.nan])
    def test_a_value_that_the_dtype_cannot_keep_is_refused(
        self, folder: DebugFolder, value: float
    ) -> None:
        write_foreign(folder, input_=np.zeros((3, 4), np.uint8))
        loaded = load(folder)
        edited = np.zeros((3, 4))
        edited[1, 2] = value
        with pytest.raises(SaveFailed, match=r"\(1, 2\)"):
            save_input(folder, edited, seen=loaded)
        assert np.load(folder.input).sum() == 0

    def test_save_goes_into_the_pickle_where_no_adapter_lives(self, folder: DebugFolder) -> None:
        root = {**flow_info(), "strange": {"key": [1, ("a", 2), {3}]}, "note": "kept"}
        write_foreign(folder, root)
        edited = np.arange(12.0).reshape(3, 4)
        saved = save_input(folder, edited, seen=load(folder))
        assert tuple(saved.files) == ("input_representation.npy", "flow_info.pkl")
        after = pickle.loads(folder.flow_info.read_bytes())
        assert np.array_equal(after["input_representation"], edited)
        assert after["strange"] == {"key": [1, ("a", 2), {3}]}
        assert after["note"] == "kept"
        loaded = load(folder)
        assert np.array_equal(loaded.session.input, edited)
        assert loaded.viewer_generation == 1
        assert loaded.notes == ()

    def test_save_leaves_the_pickle_to_a_living_adapter(self, folder: DebugFolder) -> None:
        with AdapterWriter(folder) as writer:
            writer.write({**flow_info(), "input_representation": np.zeros((3, 4), np.float32)})
            writer.set_state("serving")
            before = folder.flow_info.read_bytes()
            loaded = load(folder)
            assert loaded.input.source == "flow_info"
            saved = save_input(folder, np.ones((3, 4)), seen=loaded)
            assert tuple(saved.files) == ("input_representation.npy",)
            assert folder.flow_info.read_bytes() == before
            read = load_input(folder, own=writer.stamp)
            assert read.generation == saved.generation == 1
            assert read.array.dtype == np.float32
            now = load(folder)
            assert (now.viewer_generation, now.answers) == (1, 0)
            assert np.array_equal(now.session.input, np.ones((3, 4)))
            writer.write(
                {**flow_info(2.0), "input_representation": read.array}, answers=read.generation
            )
            assert load(folder).answers == 1

    def test_a_later_save_is_not_hidden_by_an_earlier_answer(self, folder: DebugFolder) -> None:
        with AdapterWriter(folder) as writer:
            writer.write({**flow_info(), "input_representation": np.zeros((3, 4))})
            writer.set_state("serving")
            save_input(folder, np.ones((3, 4)), seen=load(folder))
            first = load_input(folder)
            save_input(folder, np.full((3, 4), 2.0), seen=load(folder))
            writer.write(
                {**flow_info(), "input_representation": first.array}, answers=first.generation
            )
            loaded = load(folder)
            assert loaded.session.input[0, 0] == 2.0
            assert loaded.viewer_generation > loaded.answers
            assert load_input(folder).generation == 2

    def test_a_changed_input_is_a_conflict(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        loaded = load(folder)
        folder.input.write_bytes(hostile.npy_bytes(np.full((3, 4), 7.0)))
        with pytest.raises(SaveConflict):
            save_input(folder, np.ones((3, 4)), seen=loaded)
        assert np.load(folder.input)[0, 0] == 7.0
        save_input(folder, np.ones((3, 4)), seen=loaded, overwrite=True)
        assert np.load(folder.input)[0, 0] == 1.0

    def test_an_input_that_was_only_touched_is_no_conflict(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        loaded = load(folder)
        os.utime(folder.input)
        save_input(folder, np.ones((3, 4)), seen=loaded)

    def test_a_changed_input_within_the_pickle_is_a_conflict(self, folder: DebugFolder) -> None:
        write_foreign(folder, {**flow_info(), "input_representation": np.zeros((3, 4))})
        loaded = load(folder)
        folder.flow_info.write_bytes(
            pickle.dumps({**flow_info(), "input_representation": np.full((3, 4), 3.0)})
        )
        with pytest.raises(SaveConflict):
            save_input(folder, np.ones((3, 4)), seen=loaded)

    def test_new_flows_of_an_adapter_are_no_conflict(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        loaded = load(folder)
        folder.flow_info.write_bytes(pickle.dumps({**flow_info(5.0), "fresh": 1}))
        save_input(folder, np.ones((3, 4)), seen=loaded)
        assert pickle.loads(folder.flow_info.read_bytes())["fresh"] == 1

    def test_save_under_another_name(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        loaded = load(folder)
        saved = save_input(folder, np.ones((3, 4)), seen=loaded, name="other")
        assert saved.path == folder.root / (folder.prefix + "other.npy")
        assert tuple(saved.files) == ("other.npy",)
        assert np.load(folder.input)[0, 1] == 0
        with pytest.raises(SaveConflict, match="exists"):
            save_input(folder, np.zeros((3, 4)), seen=loaded, name="other.npy")
        for name in ("../x", "a/b", ".hidden", "target_representation.npy", "."):
            with pytest.raises(UsageError):
                save_input(folder, np.zeros((3, 4)), seen=loaded, name=name)

    def test_the_newer_of_two_inputs_wins_and_it_is_said(self, folder: DebugFolder) -> None:
        write_foreign(folder, {**flow_info(), "input_representation": np.full((3, 4), 4.0)})
        os.utime(folder.input, (time.time() - 500, time.time() - 500))
        loaded = load(folder)
        assert loaded.session.input[0, 0] == 4.0
        assert "newer" in loaded.notes[0]
        os.utime(folder.flow_info, (time.time() - 900, time.time() - 900))
        loaded = load(folder)
        assert loaded.session.input[0, 0] == 1.0
        assert "newer" in loaded.notes[0]

    def test_two_adapters_do_not_share_a_folder(self, folder: DebugFolder) -> None:
        process = a_living_process()
        try:
            folder.sidecar.mkdir(parents=True)
            record = {**json.loads(pending_of(process.pid)), "state": "serving"}
            folder.adapter_state.write_text(json.dumps(record))
            with pytest.raises(FileBusy, match=str(process.pid)):
                AdapterWriter(folder)
        finally:
            process.communicate()

    def test_what_dead_processes_left_is_swept_by_their_side(self, folder: DebugFolder) -> None:
        process = a_living_process()
        process.communicate()
        write_foreign(folder)
        host = f"{__import__('zlib').crc32(socket.gethostname().encode()):08x}"
        ours = folder.root / f".x.npy.viewer.{host}.{process.pid}.0.1.gradtui-tmp"
        theirs = folder.root / f".x.npy.adapter.{host}.{process.pid}.0.1.gradtui-tmp"
        living = folder.root / f".x.npy.viewer.{host}.{os.getppid()}.0.1.gradtui-tmp"
        for path in (ours, theirs, living):
            path.write_bytes(b"x")
        save_input(folder, np.ones((3, 4)), seen=load(folder))
        assert not ours.exists()
        assert theirs.exists()
        assert living.exists()
        AdapterWriter(folder).close()
        assert not theirs.exists()

    def test_a_save_into_a_hostile_pickle_keeps_it(self, folder: DebugFolder) -> None:
        write_foreign(folder)
        loaded = load(folder)
        folder.flow_info.write_bytes(b"cos\nsystem\n.")
        saved = save_input(folder, np.ones((3, 4)), seen=loaded)
        assert "alone" in saved.notes[0]
        assert folder.flow_info.read_bytes() == b"cos\nsystem\n."
        assert np.load(folder.input)[0, 1] == 1

    def test_a_commit_counts_up_and_carries(self, folder: DebugFolder) -> None:
        with AdapterWriter(folder) as writer:
            writer.write(flow_info(), np.zeros((3, 4)))
            writer.write(flow_info(2.0))
            commit = read_commit(folder, "adapter")
            assert commit.generation == 2
            assert set(commit.files) == {"flow_info.pkl", "target_representation.npy"}
        again = AdapterWriter(folder)
        assert again.generation == 2


class TestFolder(FolderContract):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> DebugFolder:
        return DebugFolder.at(tmp_path / "run" / "debug")


class TestPrefix(FolderContract):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> DebugFolder:
        folder = DebugFolder.at(f"{tmp_path}/data/test_")
        assert folder.prefix == "test_"
        return folder
