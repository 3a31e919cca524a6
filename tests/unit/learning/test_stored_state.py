"""The file of a state: whole or not there, checked before it is read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core.learning.live_tensors import copy_into
from core.learning.stored_state import (
    PIECE_BYTES,
    DamagedState,
    encoded,
    read_state,
    write_state,
)

TENSORS = {
    "b": torch.tensor([True, False]),
    "a": torch.randn(3, 5, dtype=torch.float64),
    "half": torch.randn(7).to(torch.bfloat16),
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    "strided": torch.randn(6, 4).T,
    "count": torch.tensor(7),
}
FACTS = {"step": 3, "value": 0.1, "name": "Zürich", "none": None}


def test_what_is_written_is_read_and_any_reader_of_safetensors_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    digest = write_state(path, TENSORS, FACTS)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    tensors, facts = read_state(path, digest)
    assert facts == FACTS
    for found in (tensors, safetensors.torch.load_file(path)):
        assert found.keys() == TENSORS.keys()
        for name, tensor in TENSORS.items():
            assert found[name].dtype == tensor.dtype
            assert found[name].equal(tensor)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_equal_states_are_equal_files() -> None:
    backwards = dict(reversed(TENSORS.items()))
    assert b"".join(encoded(TENSORS, FACTS)) == b"".join(encoded(backwards, FACTS))


def test_a_large_tensor_comes_in_pieces() -> None:
    pieces = list(encoded({"x": torch.zeros(PIECE_BYTES)}, {}))
    assert max(map(len, pieces)) == PIECE_BYTES
    assert len(pieces) == 5


@pytest.mark.parametrize("damage", ["a flipped bit", "a missing end", "another file", "no file"])
def test_a_damaged_state_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.safetensors"
    digest = write_state(path, TENSORS, FACTS)
    content = bytearray(path.read_bytes())
    if damage == "a flipped bit":
        content[-3] ^= 4
        path.write_bytes(content)
    elif damage == "a missing end":
        path.write_bytes(content[:-1])
    elif damage == "another file":
        safetensors.torch.save_file({"x": torch.zeros(1)}, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        path.unlink()
    with pytest.raises(DamagedState, match=path.name):
        read_state(path, digest)


def test_a_writer_that_dies_leaves_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    digest = write_state(path, TENSORS, FACTS)
    pid = os.fork()
    if pid == 0:  # a process of its own, gone when all is written and not yet in place
        os.fsync = lambda descriptor: os._exit(9)
        write_state(path, {"x": torch.zeros(1)}, {})
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert read_state(path, digest)[1] == FACTS


def test_live_tensors_take_values_and_refuse_what_does_not_fit() -> None:
    live = {"x": torch.zeros(2)}
    place = live["x"].data_ptr()
    copy_into(live, {"x": torch.ones(2)})
    assert live["x"].tolist() == [1, 1]
    assert live["x"].data_ptr() == place
    with pytest.raises(ValueError, match=r"x is \(3,\)"):
        copy_into(live, {"x": torch.ones(3)})
    with pytest.raises(ValueError, match="has no tensor x"):
        copy_into(live, {})
    with pytest.raises(ValueError, match="has a tensor y"):
        copy_into(live, {"x": torch.ones(2), "y": torch.ones(2)})
