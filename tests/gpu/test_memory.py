"""A GPU whose memory really runs out: the step is done again with fewer images at once."""

from __future__ import annotations

from collections.abc import Iterator

import open_clip
import pytest
import torch

from core.learning.memory import DoesNotFit
from core.learning.models import Clip
from core.learning.random_text import DrawnTexts
from core.learning.trainer import StepReport, Trainer
from tests.builders import RandomBatches, method, tiny_config, tiny_head

SIDE, BATCH = 128, 64


@pytest.fixture(autouse=True)
def _all_memory_again() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def large_trainer(name: str, told: list[tuple[int, int]]) -> Trainer:
    """A tower whose images take tens of megabytes each, and whose weights take few."""
    torch.manual_seed(0)
    config = tiny_config()
    config["model_cfg"]["vision_cfg"].update(
        image_size=SIDE, patch_size=4, width=256, layers=8, head_width=64, mlp_ratio=4.0
    )
    config["preprocess_cfg"]["size"] = SIDE
    model = open_clip.CLIP(**config["model_cfg"])
    clip = Clip(model.eval(), open_clip.SimpleTokenizer(), config, {}).to("cuda")
    return Trainer(
        clip,
        tiny_head(),
        method(name, batch_size=BATCH, n_steps=3),
        RandomBatches(BATCH, side=SIDE),
        DrawnTexts(clip.text, 0),
        on_halved=lambda step, images: told.append((step, images)),
    )


def limit(extra: float) -> None:
    """No more memory for this process than it holds now and so many bytes."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + extra) / total)


def peak_of_a_step(name: str) -> tuple[dict[str, float], float]:
    """What the first step measures, and the bytes that it takes beside the weights."""
    trainer = large_trainer(name, [])
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    found = {key: float(value) for key, value in trainer.train_step().items()}
    return found, torch.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("name", ["ft", "lipsum_ft", "flyp"])
def test_a_run_is_halved_before_its_first_step(name: str) -> None:
    expected, peak = peak_of_a_step(name)
    told: list[tuple[int, int]] = []
    trainer = large_trainer(name, told)
    limit(0.7 * peak)
    reports: list[StepReport] = []
    trainer.run(on_reports=reports.extend)
    assert told and told[0][0] == 0 and trainer.micro_batch == told[-1][1] < BATCH
    assert [report.step for report in reports] == [0, 1, 2]
    for value in ("loss", "gradient_norm"):
        assert reports[0].values[value] == pytest.approx(expected[value], rel=2e-4)


def test_memory_that_somebody_else_takes_later_halves_a_later_step() -> None:
    _, peak = peak_of_a_step("lipsum_ft")
    told: list[tuple[int, int]] = []
    trainer = large_trainer("lipsum_ft", told)
    trainer.train_step()
    limit(0.7 * peak)
    trainer.train_step()
    assert told[0][0] == 1 and trainer.next_step == 2


def test_one_image_that_does_not_fit_is_the_end() -> None:
    trainer = large_trainer("ft", [])
    moments = sum(8 * parameter.numel() for parameter in trainer.student.trained().values())
    limit(1.5 * moments)  # room for the optimiser, and for less than the gradients beside it
    with pytest.raises(DoesNotFit):
        trainer.run(on_reports=lambda reports: None)
    assert trainer.next_step == 0
