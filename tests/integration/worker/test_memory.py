"""Jobs that have too little memory: fewer images at once, and a clear end where one is too many."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from core.jobs.messages import Environment, Failed, Finished, Metrics
from tests.integration.worker.test_resume import Job, StopTraining
from tests.jobs import job_spec
from tests.memory import memory_of
from tests.pipeline import Ran, make_settings, run_here
from worker.pipeline.evaluating import run_evaluation
from worker.pipeline.workspace import Workspace
from worker.run import perform


def losses(ran: Ran) -> dict[tuple[int, int], float]:
    return {(m.seed, m.step): m.values["loss"] for m in ran.messages if isinstance(m, Metrics)}


def warned(ran: Ran) -> list[str]:
    return [event.message for event in ran.events if "memory ran out" in event.message]


@pytest.mark.parametrize("method", ["ft", "flyp"])
def test_a_job_with_less_memory_takes_fewer_images_at_once(tmp_path: Path, method: str) -> None:
    job = Job(tmp_path, method)
    calm = job.calm()
    with memory_of(3, training_only=True):
        ran = job.run()
    assert warned(ran) == [
        f"seed {seed}: memory ran out at step 0; from there on 2 images instead of a step's 8 pass "
        "through the towers at once, and gradients are accumulated. Numbers may differ, by "
        "rounding, from those of a run with more memory"
        for seed in (0, 1)
    ]
    data = next(event.data for event in ran.events if "memory ran out" in event.message)
    assert data == {"seed": 0, "step": 0, "micro_batch_size": 2}
    assert losses(ran).keys() == losses(calm).keys()
    assert losses(ran)[0, 0] == pytest.approx(losses(calm)[0, 0], rel=1e-5)
    assert {model.id for model in ran.models} >= {"ft:tiny::test", "ft:tiny::test:seed-1"}
    # No step of it need come out the same where there is another amount of memory.
    said = [m.repeatable for m in ran.messages if isinstance(m, Environment)]
    assert said == [True, False, False]
    first = next(i for i, m in enumerate(ran.messages) if isinstance(m, Metrics))
    assert any(isinstance(m, Environment) and not m.repeatable for m in ran.messages[:first])
    assert warned(calm) == []


def test_a_resumed_job_goes_on_with_as_few_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path, "lipsum_ft", n_steps=12)
    job.spec = job.spec.model_copy(update={"seeds": [0]})
    with memory_of(3, training_only=True):
        calm = job.calm()
        first = job.run(stop=StopTraining(5))
    assert first.stopped
    again = job.run(checkpoints=first.checkpoints())  # where there is memory enough
    assert warned(again) == []
    assert again.digests() == calm.digests()
    together = {**losses(first), **losses(again)}
    assert together == losses(calm)


def test_scoring_and_zero_shot_take_fewer_images_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path, "ft")
    calm = job.calm()
    with memory_of(2):
        ran = job.run()
    assert [(r.model, r.split, r.metric) for r in ran.results] == [
        (r.model, r.split, r.metric) for r in calm.results
    ]
    nll = ran.row("zero_shot", "test", "nll").value
    assert nll == pytest.approx(calm.row("zero_shot", "test", "nll").value, rel=1e-5)


def test_an_evaluation_takes_fewer_images_at_once(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    spec = job_spec(settings, tmp_path / "in", method="evaluate")
    with memory_of(2):
        ran = run_here(settings, spec, tmp_path / "work", run_evaluation)
    assert ran.row("base:tiny", "test", "accuracy").n == 18


@pytest.mark.parametrize("training_only", [True, False])
def test_one_image_too_many_is_the_end_and_says_what_to_do(
    tmp_path: Path, training_only: bool
) -> None:
    job = Job(tmp_path, "lipsum_ft")
    ended: list[BaseModel] = []

    def duty(workspace: Workspace) -> None:
        ended.append(perform(workspace))

    job.duty = duty
    with memory_of(0, training_only=training_only):
        ran = job.run()
    (last,) = ended
    assert isinstance(last, Failed)
    assert last.reason == "out_of_memory"
    assert "even for one image at a time" in last.message
    assert "Tried to allocate room for 1 images.)" in last.message
    assert "Use a worker with more memory" in last.message
    assert ran.models == []
    job.duty = lambda workspace: ended.append(perform(workspace))
    job.run()  # the device is free again
    assert isinstance(ended[-1], Finished)
