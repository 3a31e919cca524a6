"""The loop: what trains, what does not, and what must not change the result."""

import math

import numpy as np
import pytest
import torch

from core.learning.methods.lipsum_ft import lipsum_penalty
from core.learning.schedule import learning_rate
from core.learning.trainer import LossNotFinite, StepReport, evaluation_steps
from tests.builders import make_trainer, tiny_head


def test_penalty_equals_the_papers_formula_in_float64() -> None:
    draws = np.random.default_rng(0)
    f, f0, g = (draws.normal(size=shape) for shape in ((4, 6), (4, 6), (9, 6)))
    scale = 31.7
    expected = np.mean(
        [
            sum((scale * f[b] @ g[m] - scale * f0[b] @ g[m]) ** 2 for m in range(9)) / (2 * 9)
            for b in range(4)
        ]
    )
    tensors = [torch.from_numpy(x) for x in (f, f0, g)]
    assert float(lipsum_penalty(*tensors, scale)) == pytest.approx(expected, rel=1e-12)


def test_only_the_image_tower_and_the_head_train() -> None:
    trainer = make_trainer()
    before = {k: v.clone() for k, v in trainer.student.clip.model.state_dict().items()}
    frozen = trainer.surroundings.theta0
    assert frozen is not None
    theta0 = {k: v.clone() for k, v in frozen.model.state_dict().items()}
    for _ in range(4):
        trainer.train_step()
    after = trainer.student.clip.model.state_dict()
    changed = {k for k in before if not before[k].equal(after[k])}
    assert changed and all(k.startswith("visual.") for k in changed)
    assert "visual.proj" in changed and "visual.conv1.weight" in changed
    assert all(theta0[k].equal(v) for k, v in frozen.model.state_dict().items())
    assert not trainer.student.head.detach().equal(tiny_head().weight)


def test_lambda_zero_is_plain_fine_tuning_bit_for_bit() -> None:
    plain, lipsum = make_trainer("ft"), make_trainer("lipsum_ft", penalty_weight=0.0)
    for _ in range(5):
        a, b = plain.train_step(), lipsum.train_step()
        assert float(a["loss"]) == float(b["loss"])
    for x, y in zip(plain._trained, lipsum._trained, strict=True):
        assert x.detach().equal(y.detach())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_penalty_at_theta0_is_exactly_zero(precision: str) -> None:
    first = make_trainer(precision=precision).train_step()
    assert float(first["penalty"]) == 0.0
    assert float(first["loss"]) == float(first["cross_entropy"])


@pytest.mark.parametrize("micro", [1, 2, 3, 8])
def test_micro_batches_do_not_change_the_step(micro: int) -> None:
    whole = make_trainer(double=True)
    parts = make_trainer(double=True, micro_batch_size=micro)
    for _ in range(5):
        a, b = whole.train_step(), parts.train_step()
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=1e-9)
        assert float(b["gradient_norm"]) == pytest.approx(float(a["gradient_norm"]), rel=1e-9)
    difference = max(
        float((x - y).detach().abs().max())
        for x, y in zip(whole._trained, parts._trained, strict=True)
    )
    assert difference < 1e-8


def test_label_smoothing_and_clipping_reach_the_step() -> None:
    plain = make_trainer("ft").train_step()
    smoothed = make_trainer("ft", label_smoothing=0.1).train_step()
    assert float(plain["loss"]) != float(smoothed["loss"])
    clipped = make_trainer("ft", clip_norm=0.5)
    norm = float(clipped.train_step()["gradient_norm"])
    assert norm > 0.5  # reported before clipping
    after = torch.nn.utils.get_total_norm([p.grad for p in clipped._trained])
    assert float(after) == pytest.approx(0.5, rel=1e-5)


def test_the_earliest_best_validation_is_kept() -> None:
    trainer = make_trainer("ft", n_steps=6, n_evaluations=3)
    accuracies = iter([0.4, 0.7, 0.7])
    reports: list[StepReport] = []
    run = trainer.run(on_reports=reports.extend, validate=lambda head: next(accuracies))
    assert run.validations == [(2, 0.4), (4, 0.7), (6, 0.7)]
    assert (run.best.step, run.last.step) == (4, 6)
    assert not run.best.head.weight.equal(run.last.head.weight)
    assert [report.step for report in reports] == list(range(6))
    assert {"loss", "cross_entropy", "gradient_norm", "learning_rate"} <= set(reports[0].values)


def test_a_loss_that_is_not_finite_stops_the_run_naming_the_step() -> None:
    trainer = make_trainer("ft", n_steps=6)
    trainer.train_step()
    with torch.no_grad():
        trainer.student.head.fill_(float("nan"))
    with pytest.raises(LossNotFinite, match="at step 1") as caught:
        trainer.run(on_reports=lambda reports: None)
    assert caught.value.step == 1


def test_schedule_is_the_official_one() -> None:
    rates = [learning_rate(i, peak=1e-5, total_steps=5000, warmup_steps=500) for i in range(5000)]
    assert rates[0] == 0.0
    assert rates[1] == pytest.approx(2e-8)
    assert rates[500] == 1e-5 == max(rates)
    assert rates[2750] == pytest.approx(5e-6)
    assert 0 < rates[-1] < 1e-11


def test_validations_are_evenly_spread_and_include_the_last_step() -> None:
    assert evaluation_steps(100, 5) == {20, 40, 60, 80, 100}
    assert evaluation_steps(3, 5) == {1, 2, 3}
    assert math.inf not in evaluation_steps(1, 1)
