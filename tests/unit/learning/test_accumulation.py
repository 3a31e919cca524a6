"""Losses that couple a batch: parts and processes must not change the step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.learning.methods.flyp import info_nce
from tests.builders import make_trainer
from tests.unit.learning.process import steps_of

STEPS = 20


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
    whole = make_trainer("flyp", double=True, n_steps=STEPS)
    parts = make_trainer("flyp", double=True, n_steps=STEPS, micro_batch_size=micro)
    for _ in range(STEPS):
        a, b = whole.train_step(), parts.train_step()
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=1e-9)
        assert float(b["gradient_norm"]) == pytest.approx(float(a["gradient_norm"]), rel=1e-9)


def test_several_processes_equal_one(tmp_path: Path) -> None:
    """Three real processes over gloo share batches of eight images, unevenly."""
    names, count = ["flyp", "lipsum_ft"], 3
    command = [sys.executable, "-m", "tests.unit.learning.process", f"file://{tmp_path / 'meet'}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [*command, str(count), str(rank), *names],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(count)
    ]
    answers = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * count
    expected = [value for name in names for value in steps_of(name)]
    for answer in answers:
        assert [float(x) for x in answer.split()] == pytest.approx(expected, rel=1e-9)
