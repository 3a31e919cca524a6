"""Jobs stopped anywhere and gone on with elsewhere: what they make is what a calm job makes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.jobs.checkpoint import CheckpointReference
from core.jobs.messages import Checkpoint, CheckpointRefused, Metrics
from core.records.environments import differences
from core.settings import Settings
from tests.jobs import job_spec
from tests.pipeline import Ran, make_settings, run_here
from worker.pipeline.choosing import run_choice
from worker.pipeline.keeping import keep_checkpoint
from worker.pipeline.training import run_training
from worker.pipeline.workspace import Workspace
from worker.stop_signal import StopSignal

Duty = Callable[[Workspace], None]
DUTIES: dict[str, Duty] = {"auto": run_choice}
NEVER = 1e9  # seconds


class StopAfter(StopSignal):
    """A SIGTERM that comes when the trainer has looked for one so many times."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    @property
    def is_set(self) -> bool:  # type: ignore[override]
        self._left -= 1
        return self._left < 0


class StopTraining(StopAfter):
    """One that comes in training, after so many steps of all runs together; the last step of a
    run, after which nothing is kept, is not counted."""

    def check(self) -> None:
        """Not now."""


class Job:
    """A specification, run as often as a test wants."""

    def __init__(self, directory: Path, method: str, **changes: object) -> None:
        self.directory = directory
        self.settings = make_settings(directory, checkpoint_seconds=NEVER)
        knobs = {"precision": "fp32", "n_steps": 12, "n_evaluations": 3}
        seeds = (0, 1) if method != "auto" else (0,)
        self.spec = job_spec(
            self.settings, directory / "in", method=method, seeds=seeds, **{**knobs, **changes}
        )
        self.duty = DUTIES.get(method, run_training)
        self._runs = 0

    def run(self, settings: Settings | None = None, **how: object) -> Ran:
        self._runs += 1
        work = self.directory / f"work-{self._runs}"
        return run_here(settings or self.settings, self.spec, work, self.duty, **how)  # type: ignore[arg-type]

    def often(self) -> Settings:
        """As many checkpoints as there are steps."""
        return self.settings.model_copy(update={"checkpoint_seconds": 1e-9})

    def calm(self) -> Ran:
        """The whole job in a data directory of its own."""
        # Made anew: a copy would still have the object store's address that was worked out before.
        chosen = self.settings.model_dump(exclude_unset=True)
        other = Settings(**{**chosen, "data_dir": self.directory / "calm"})
        shutil.copytree(self.settings.data_dir, other.data_dir)
        return self.run(other)


@pytest.mark.parametrize("method", ["lipsum_ft", "flyp", "auto"])
def test_a_job_stopped_at_any_moment_makes_what_a_calm_one_makes(
    tmp_path: Path, method: str
) -> None:
    job = Job(tmp_path, method)
    calm = job.calm()
    draws = np.random.default_rng(len(method))
    handed: list[CheckpointReference] = []
    metrics: dict[tuple[int, int], dict[str, float]] = {}
    for looks in [*draws.integers(1, 60, size=7), 10**9]:
        ran = job.run(stop=StopAfter(int(looks)), checkpoints=handed)
        for message in ran.messages:
            if isinstance(message, Metrics):  # done again, a step is what it was
                key = (message.seed, message.step)
                assert metrics.setdefault(key, message.values) == message.values
        handed = ran.checkpoints(handed)
    assert not ran.stopped
    assert ran.digests() == calm.digests()
    assert ran.results == calm.results


def test_a_finished_seed_is_not_trained_again(tmp_path: Path) -> None:
    job = Job(tmp_path, "ft")
    first = job.run(stop=StopTraining(15))
    assert first.stopped
    handed = first.checkpoints()
    assert "0.finished" in handed[0].parts
    again = job.run(checkpoints=handed)
    seeds = {message.seed for message in again.messages if isinstance(message, Metrics)}
    assert seeds == {1}
    assert {row.seed for row in again.results} == {0, 1}


def test_a_part_that_has_not_changed_is_stored_once(tmp_path: Path) -> None:
    job = Job(tmp_path, "ft", n_steps=80)  # a busy machine keeps only some of the checkpoints
    ran = job.run(job.often())
    found = [message for message in ran.messages if isinstance(message, Checkpoint)]
    assert len(found) > 4
    best = [c.parts["0.best"].object_key for c in found if "0.best" in c.parts]
    assert len(set(best)) < len(best)
    finished = {c.parts["0.finished"].object_key for c in found if "0.finished" in c.parts}
    assert len(finished) == 1
    for message in found:
        for part in message.parts.values():
            assert part.object_key.startswith("jobs/ftjob-test/attempts/1/checkpoints/")
            assert ran.store.head(part.object_key).size == part.size


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_left_for_the_one_before(tmp_path: Path, damaged: int) -> None:
    job = Job(tmp_path, "lipsum_ft")
    calm = job.calm()
    first = job.run(job.often(), stop=StopTraining(12))
    handed = first.checkpoints()
    assert first.stopped
    assert len(handed) == 2
    for reference in handed[:damaged]:
        name = next(name for name in reference.parts if name.endswith(".state"))
        key = reference.parts[name].object_key
        content = bytearray(first.store.read_bytes(key))
        content[len(content) // 2] ^= 1
        first.store.put_bytes(key, bytes(content))
    again = job.run(checkpoints=handed)
    refused = [m.number for m in again.messages if isinstance(m, CheckpointRefused)]
    assert refused == [reference.number for reference in handed[:damaged]]
    warned = [e.message for e in again.events if "is damaged and is left out" in e.message]
    assert len(warned) == damaged
    went_on = [e.message for e in again.events if "goes on from step" in e.message]
    assert len(went_on) == (1 if damaged == 1 else 0)
    assert again.digests() == calm.digests()


def test_a_checkpoint_whose_object_is_gone_is_damaged(tmp_path: Path) -> None:
    job = Job(tmp_path, "ft")
    first = job.run(job.often(), stop=StopTraining(12))
    handed = first.checkpoints()
    first.store.delete(handed[0].parts["0.state"].object_key)
    again = job.run(checkpoints=handed)
    assert [m.number for m in again.messages if isinstance(m, CheckpointRefused)] == [
        handed[0].number
    ]


def test_a_state_of_another_recipe_is_not_gone_on_from(tmp_path: Path) -> None:
    """As after an update of the service that changed what a method remembers."""
    job = Job(tmp_path, "ft")
    handed = job.run(stop=StopTraining(5)).checkpoints()
    job.spec = job.spec.model_copy(
        update={"hyperparameters": {**job.spec.hyperparameters, "learning_rate": 2e-3}}
    )
    again = job.run(checkpoints=handed)
    assert any("its hyperparameters is" in event.message for event in again.events)
    steps = [m.step for m in again.messages if isinstance(m, Metrics) and m.seed == 0]
    assert steps == list(range(12))


def test_training_goes_on_while_checkpoints_cannot_be_stored(tmp_path: Path) -> None:
    job = Job(tmp_path, "ft")
    # That attempt 2 exists makes the run count as the second.
    in_the_way = job.settings.data_dir / "objects/jobs/ftjob-test/attempts/2/checkpoints"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where a directory must be")
    ran = job.run(job.often())
    assert not ran.stopped
    assert len(ran.models) > 2
    warned = [e.message for e in ran.events if "could not be stored" in e.message]
    assert len(warned) == 1  # and not at every step
    assert not any(isinstance(message, Checkpoint) for message in ran.messages)


def test_a_stop_is_heeded_where_nothing_trains(tmp_path: Path) -> None:
    job = Job(tmp_path, "ft")
    ran = job.run(stop=StopAfter(0))
    assert ran.stopped
    assert ran.checkpoints() == []
    assert not any(isinstance(message, Metrics) for message in ran.messages)


def test_what_a_cancelled_job_had_come_to_is_a_model_like_any_other(tmp_path: Path) -> None:
    job = Job(tmp_path, "lipsum_ft")
    first = job.run(stop=StopTraining(15))
    handed = first.checkpoints()
    assert handed[0].run == 1
    job.duty = keep_checkpoint
    kept = job.run(checkpoints=handed).models
    step = handed[0].step
    assert [model.kind for model in kept] == ["checkpoint"] * 2
    assert kept[0].id.startswith("ft:tiny::test:step-")
    assert kept[1].id == f"ft:tiny::test:seed-1:step-{step}"
    assert kept[1].metrics.keys() == {"validation_accuracy", "step", "train_loss"}
    assert kept[1].step == step
    names = {"open_clip_model.safetensors", "head.safetensors", "classes.json", "README.md"}
    assert names <= kept[1].members.keys()


def test_members_of_the_automatic_choice_are_kept_too(tmp_path: Path) -> None:
    job = Job(tmp_path, "auto")
    first = job.run(stop=StopTraining(15))
    handed = first.checkpoints()
    assert handed[0].run == 1
    job.duty = keep_checkpoint
    kept = job.run(checkpoints=handed).models
    assert [model.step for model in kept][1] == 12 + handed[0].step  # counted on, as its metrics


def test_what_changed_of_the_environment_is_said() -> None:
    assert differences({"threads": 4, "torch": "2"}, {"threads": 2, "torch": "2", "gpu": "x"}) == [
        "threads 2 instead of 4",
        "gpu x instead of none",
    ]
