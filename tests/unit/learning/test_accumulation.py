"""Losses that couple a batch: parts and processes must not change the step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.methods.flyp import info_nce
from tests.unit.learning.process import STEPS, run

TRAINING = [name for name, kind in registry().items() if issubclass(kind, TrainingMethod)]


def test_info_nce_equals_the_papers_formula_in_float64() -> None:
    draws = np.random.default_rng(0)
    v, u = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in draws.normal(size=(2, 6, 4)))
    scale = 7.3
    z = scale * v @ u.T
    rows = np.mean([np.log(np.exp(z[i]).sum()) - z[i, i] for i in range(6)])
    columns = np.mean([np.log(np.exp(z[:, j]).sum()) - z[j, j] for j in range(6)])
    found = float(info_nce(torch.from_numpy(v), torch.from_numpy(u), scale))
    assert found == pytest.approx((rows + columns) / 2, rel=1e-12)


@pytest.mark.parametrize("micro", [1, 3, 7])
def test_cached_gradients_equal_the_large_batch(micro: int) -> None:
    measured, weights = run("flyp", micro)
    assert_equal((measured, weights), run("flyp"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_accumulation_equals_the_large_batch(name: str) -> None:
    assert_equal(run(name, 3), run(name))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_equal_one(tmp_path: Path, count: int) -> None:
    """Real processes under torchrun, over gloo, for every method: batches of eight images, which
    three share unevenly, in micro-batches of two."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={count}", "-m", "tests.unit.learning.process"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path), "2", *TRAINING], check=True, env=environment)
    for name in TRAINING:
        measured = json.loads((tmp_path / f"{name}.json").read_text())
        assert_equal((measured, load_file(tmp_path / f"{name}.safetensors")), run(name))


def test_processes_that_came_apart_are_noticed(tmp_path: Path) -> None:
    """One bit of one weight, in one of three processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=3", "-m", "tests.unit.learning.apart"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert (said.count("same"), said.count("apart")) == (3, 3)


def assert_equal(
    found: tuple[list[list[float]], dict[str, Tensor]],
    expected: tuple[list[list[float]], dict[str, Tensor]],
) -> None:
    """Loss and gradient of each step to 1e-9 relative, weights to 1e-8."""
    assert len(found[0]) == STEPS
    for one, other in zip(found[0], expected[0], strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert found[1].keys() == expected[1].keys()
    for name, tensor in expected[1].items():
        assert float((found[1][name] - tensor).abs().max()) < 1e-8
