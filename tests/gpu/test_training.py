"""Training on a GPU is training on the CPU: the same numbers, the same resume, the same R of 0."""

from __future__ import annotations

import copy

import pytest

from core.learning import snapshot
from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.trainer import StepReport, Trainer
from tests.builders import make_trainer
from tests.unit.learning.process import EPSILON

TRAINING = [name for name, kind in registry().items() if issubclass(kind, TrainingMethod)]
STEPS = 6


@pytest.mark.parametrize("name", TRAINING)
def test_a_gpu_computes_what_the_cpu_does_in_float64(name: str) -> None:
    here, there = (
        make_trainer(name, double=True, device=device, epsilon=EPSILON)
        for device in ("cpu", "cuda")
    )
    for _ in range(STEPS):
        expected, found = here.train_step(), there.train_step()
        for value in ("loss", "gradient_norm"):
            assert float(found[value]) == pytest.approx(float(expected[value]), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", TRAINING)
def test_a_run_interrupted_on_a_gpu_is_the_calm_one_bit_for_bit(name: str, precision: str) -> None:
    def make() -> Trainer:
        return make_trainer(
            name, device="cuda", repeatable=True, n_steps=STEPS, precision=precision
        )

    calm, first = make(), make()
    reports: list[StepReport] = []
    calm.run(on_reports=reports.extend)
    values = [first.train_step() for _ in range(3)]
    taken = copy.deepcopy(snapshot.take(first))
    second = make()
    snapshot.restore(second, taken)
    values += [second.train_step() for _ in range(3)]
    assert [float(v["loss"]) for v in values] == [r.values["loss"] for r in reports]
    expected, found = calm.student.tensors(), second.student.tensors()
    assert [name for name, tensor in expected.items() if not tensor.equal(found[name])] == []


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_penalty_at_theta0_is_zero_to_rounding(precision: str) -> None:
    """Exactly 0 on the CPU. On a GPU torch multiplies by a weight that trains with another kernel
    than by one that does not, so that student and theta0 may differ in the last bit of fp32."""
    first = make_trainer("lipsum_ft", device="cuda", precision=precision).train_step()
    assert float(first["penalty"]) < 1e-11
