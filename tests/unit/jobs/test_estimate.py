"""What a job would take, from counting and from finished jobs, and all faults of a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from core.jobs.estimate import Estimate, check, estimate, training_steps
from core.jobs.lookup import RecordsLookup
from core.jobs.messages import PEAK_MEMORY, Event
from core.jobs.spec import JobSpec
from core.records import datasets, jobs, leases, publishing
from core.records.measured import finished_like
from core.records.tables import Job
from tests.api_service import dataset
from tests.service_builders import MOST, claim, results
from tests.unit.jobs.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def archive(world: World) -> str:
    return world.file(dataset())


def asked(world: World, **fields: Any) -> tuple[JobSpec | None, list[tuple[str, str | None]]]:
    """The specification, and (code, param) of every fault."""
    with world.database.read() as session:
        lookup = RecordsLookup(session, world.project_id)
        spec, faults = check(fields, lookup, world.settings)
    return spec, [(fault.code, fault.param) for fault in faults]


def estimated(world: World, **fields: Any) -> Estimate:
    with world.database.read() as session:
        lookup = RecordsLookup(session, world.project_id)
        spec, faults = check({"model": "base:tiny", **fields}, lookup, world.settings)
        assert spec is not None, faults
        measured = finished_like(session, world.project_id, spec.theta0.id, spec.method)
        return estimate(spec, lookup, measured)


def run(world: World, seconds: float, peak: int, **fields: Any) -> None:
    """A job that finished after so many seconds, having held so many bytes."""
    spec = world.resolve(**fields)
    with world.database.write() as session:
        jobs.create(session, world.project_id, spec, {"model": "base:tiny", **fields})
        for reference in spec.datasets:
            datasets.mark_checked(session, world.project_id, reference.version, "index", {})
    held = claim(world.database)
    said = Event(message=f"{PEAK_MEMORY} so much.", data={"peak_memory_bytes": peak})
    with world.database.write() as session:
        leases.relay(session, held, [said])
        publishing.publish(session, held, results(held), max_attempts=MOST)
        session.execute(
            update(Job).where(Job.id == held.job_id).values(finished_at=Job.started_at + seconds)
        )


class TestFaults:
    def test_all_are_found_at_once(self, world: World, archive: str) -> None:
        spec, faults = asked(
            world,
            model="base:none",
            training_file=archive,
            validation_file="file-none",
            seed=-1,
            suffix="a b",
            colour="red",
            method={
                "type": "ft",
                "ft": {"hyperparameters": {"learning_rate": 5, "batch_size": 0, "speed": 1}},
            },
            evaluation={
                "splits": [
                    {"name": "night", "file": "file-none"},
                    {"name": "train", "file": archive},
                ],
                "corruptions": ["corruption.smog.3"],
                "averages": {"mine": ["nothing"]},
                "baselines": {"sketch": [[0.5, 0.5]], "nowhere": [[0.5, 0.5]]},
            },
        )
        assert spec is None
        assert sorted(faults, key=str) == sorted(
            [
                ("invalid_request", "seed"),
                ("invalid_request", "suffix"),
                ("invalid_request", "colour"),
                ("unknown_model", "model"),
                ("unknown_file", "validation_file"),
                ("unknown_file", "evaluation.splits.0.file"),
                ("reserved_split", "evaluation.splits.1.name"),
                ("ambiguous_split", "evaluation.splits.1.file"),
                ("invalid_hyperparameter", "method.ft.hyperparameters.learning_rate"),
                ("invalid_hyperparameter", "method.ft.hyperparameters.batch_size"),
                ("invalid_hyperparameter", "method.ft.hyperparameters.speed"),
                ("unknown_corruption", "evaluation.corruptions.0"),
                ("unknown_split", "evaluation.averages.mine"),
                ("insufficient_baselines", "evaluation.baselines.sketch"),
                ("unknown_split", "evaluation.baselines.nowhere"),
            ],
            key=str,
        )

    def test_of_an_empty_request(self, world: World) -> None:
        assert asked(world) == (
            None,
            [("invalid_request", "model"), ("invalid_request", "training_file")],
        )

    @pytest.mark.parametrize("content", [None, 5, [], "x"])
    def test_of_what_is_no_request(self, world: World, content: Any) -> None:
        with world.database.read() as session:
            lookup = RecordsLookup(session, world.project_id)
            spec, faults = check(content, lookup, world.settings)
        assert spec is None
        assert len(faults) == 1

    @pytest.mark.parametrize("number", ["2", True, 1.5])
    def test_of_a_value_of_another_type(self, world: World, archive: str, number: Any) -> None:
        _, faults = asked(world, model="base:tiny", training_file=archive, n_seeds=number)
        assert faults == [("invalid_request", "n_seeds")]

    def test_a_fault_is_not_told_twice_for_what_depends_on_it(
        self, world: World, archive: str
    ) -> None:
        assert asked(world, model="base:tiny", training_file="file-none")[1] == [
            ("unknown_file", "training_file")
        ]
        assert asked(world, model="base:tiny", training_file=archive, method={"type": "no"})[1] == [
            ("unknown_method", "method.type")
        ]

    def test_the_first_is_what_making_the_job_would_say(self, world: World, archive: str) -> None:
        fields = {"training_file": archive, "evaluation": {"corruptions": ["corruption.smog.3"]}}
        refused = world.refused(**fields)
        _, faults = asked(world, model="base:tiny", **fields)
        assert faults == [(refused.code, refused.param)]

    def test_none_are_found_of_a_good_request(self, world: World, archive: str) -> None:
        spec, faults = asked(world, model="base:tiny", training_file=archive)
        assert faults == []
        assert spec is not None
        made = world.resolve(training_file=archive)
        assert jobs.spec_digest(spec) == jobs.spec_digest(made)


class TestFigures:
    def test_without_finished_jobs_there_is_no_duration(self, world: World, archive: str) -> None:
        found = estimated(world, training_file=archive, n_seeds=2)
        assert found.steps.value == 2 * 110
        assert (found.seconds.value, found.memory_bytes.value) == (None, None)
        assert found.seconds.basis == (
            "no job of base:tiny and lipsum_ft with batch_size 1 has finished here yet"
        )

    def test_the_median_second_a_step_of_finished_jobs(self, world: World, archive: str) -> None:
        for seconds, peak in ((11.0, 100), (22.0, 300), (110.0, 200)):
            run(world, seconds, peak, training_file=archive)
        found = estimated(world, training_file=archive, n_seeds=3)
        assert found.seconds.value == pytest.approx(3 * 22.0)
        assert "3 finished jobs" in found.seconds.basis
        assert found.memory_bytes.value == 300

    def test_jobs_of_another_kind_say_nothing(self, world: World, archive: str) -> None:
        run(world, 11.0, 100, training_file=archive)
        bigger = {"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": {"batch_size": 4}}}
        assert estimated(world, training_file=archive, method=bigger).seconds.value is None
        assert estimated(world, training_file=archive, method="ft").seconds.value is None

    def test_another_projects_jobs_say_nothing(self, world: World, archive: str) -> None:
        run(world, 11.0, 100, training_file=archive)
        with world.database.read() as session:
            assert finished_like(session, "proj-other", "base:tiny", "lipsum_ft") == []

    def test_a_combination_takes_no_steps(self, world: World, archive: str) -> None:
        job, _ = world.finished_job(training_file=archive)
        method = {"type": "wise_ft", "wise_ft": {"inputs": [job]}}
        found = estimated(world, training_file=archive, method=method)
        assert (found.steps.value, found.seconds.value) == (0, None)
        run(world, 33.0, 5, training_file=archive, method=method)
        assert estimated(world, training_file=archive, method=method).seconds.value == 33.0

    def test_automatic_choice_trains_several(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive, method="auto")
        assert training_steps(spec) == 2 * 110

    def test_the_automatic_choice_stores_a_mixture_and_its_fine_tuned_model(
        self, world: World, archive: str
    ) -> None:
        found = estimated(world, training_file=archive, method="auto", n_seeds=2)
        assert found.stored_bytes.value == 2 * 3 * len(b"weights of a base")

    def test_disk_is_counted(self, world: World, archive: str) -> None:
        found = estimated(world, training_file=archive, n_seeds=2)
        base = len(b"weights of a base")
        assert found.stored_bytes.value == 4 * base
        size = len(dataset())
        scored = 12 + 12 + 1  # test, sketch, and a tenth of train
        assert found.cached_bytes.value == size + 2 * base + scored * 16 * 16 * 3
        with_shifts = estimated(
            world, training_file=archive, evaluation={"corruptions": ["corruption.fog.1"]}
        )
        assert (with_shifts.cached_bytes.value or 0) - found.cached_bytes.value == 12 * 768
