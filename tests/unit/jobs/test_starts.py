"""Requests that begin from a finished model's weights: `continue_from` and `anchor`, over real
rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidRequest
from core.jobs.lookup import RecordsLookup
from core.jobs.messages import StoredModel
from core.jobs.protocol import protocol_of
from core.jobs.request import JobRequest
from core.jobs.resolve import check_job, resolve_job
from core.jobs.spec import JobSpec
from core.records import datasets, jobs, leases, models, publishing, stopping
from tests.api_service import add_base, dataset
from tests.service_builders import MOST, claim
from tests.unit.jobs.test_repeat import check_repeats
from tests.unit.jobs.test_resolve import options
from tests.unit.jobs.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def archive(world: World) -> str:
    return world.file(dataset())


def trained(world: World, kept: int = 5, **fields: Any) -> tuple[str, list[str]]:
    """A training job that succeeded, of each seed a model of step `kept` and its last step's
    checkpoint: (id, models)."""
    spec = world.resolve(**fields)
    last = int(spec.hyperparameters["n_steps"])
    own = [spec.model_id, *(f"{spec.model_id}:seed-{seed}" for seed in spec.seeds[1:])]
    made = []
    for model_id, seed in zip(own, spec.seeds, strict=True):
        for name, step in (
            (model_id, kept),
            (f"{model_id}:step-{kept}", kept),
            (f"{model_id}:step-{last}", last),
        ):
            made.append(
                StoredModel(
                    id=name,
                    kind="fine_tuned" if name == model_id else "checkpoint",
                    object_key=f"jobs/{spec.job_id}/attempts/1/{len(made)}.tar",
                    sha256=f"{spec.job_id}-{seed}-{step}",
                    size=1,
                    members={},
                    info={"base": spec.theta0.id},
                    seed=seed,
                    step=step,
                )
            )
    return publish(world, spec, made, **fields), own


def ids(references: Any) -> list[str]:
    return [reference.id for reference in references]


class TestContinued:
    def test_a_job_is_its_last_weights_of_every_seed(self, world: World, archive: str) -> None:
        method = options("ft", hyperparameters={"n_steps": 40, "batch_size": 4})
        job, made = trained(world, training_file=archive, method=method, seed=3, n_seeds=2)
        spec = world.resolve(training_file=archive, continue_from=job)
        assert ids(spec.starts) == [f"{model}:step-40" for model in made]
        assert spec.theta0.id == "base:tiny"
        assert spec.seeds == [5, 6]  # nothing is drawn twice
        assert spec.slice_seed == 3  # and what was held out still is
        assert spec.method == "ft"

    @pytest.mark.parametrize("place", ["model", "checkpoint"])
    def test_a_model_is_itself_for_every_seed(self, world: World, archive: str, place: str) -> None:
        _, made = trained(world, training_file=archive, seed=3)
        name = made[0] if place == "model" else f"{made[0]}:step-5"
        spec = world.resolve(training_file=archive, continue_from=name, n_seeds=2)
        assert ids(spec.starts) == [name, name]
        assert spec.seeds == [4, 5]
        assert world.resolve(training_file=archive, continue_from=name, seed=9).seeds == [9]

    def test_what_is_not_said_is_as_it_was(self, world: World, archive: str) -> None:
        knobs = {"penalty_weight": 0.3, "n_epochs": 7, "batch_size": 4, "warmup_steps": 11}
        job, _ = trained(world, training_file=archive, method=options_of("lipsum_ft", knobs))
        before = world.resolve(training_file=archive, method=options_of("lipsum_ft", knobs))
        spec = world.resolve(training_file=archive, continue_from=job)
        assert spec.hyperparameters == before.hyperparameters
        for own, changed in (
            ({"learning_rate": 3e-6}, {"learning_rate": 3e-6}),
            ({"n_steps": 12}, {"n_steps": 12}),
            ({"n_epochs": 1}, {"n_epochs": 1.0}),
            ({"warmup_fraction": 0.5}, {"warmup_fraction": 0.5, "warmup_steps": None}),
            ({"batch_size": 6}, {"batch_size": 6, "micro_batch_size": 6}),
        ):
            for request in (
                {"hyperparameters": own},
                {"method": options_of("lipsum_ft", own)},
            ):
                found = world.resolve(training_file=archive, continue_from=job, **request)
                expected = {**before.hyperparameters, **changed}
                follows = {"n_steps", "n_epochs"} - own.keys()
                assert {k: v for k, v in found.hyperparameters.items() if k not in follows} == {
                    k: v for k, v in expected.items() if k not in follows
                }

    def test_a_recipe_says_everything_itself(self, world: World, archive: str) -> None:
        knobs = {"beta1": 0.5, "n_steps": 9}
        job, _ = trained(world, training_file=archive, method=options_of("lipsum_ft", knobs))
        plain = world.resolve(training_file=archive, recipe="demo")
        spec = world.resolve(training_file=archive, recipe="demo", continue_from=job)
        assert spec.hyperparameters == plain.hyperparameters
        refused = world.refused(
            training_file=archive, recipe="wise-ft/imagenet-vitb16", continue_from=job
        )
        assert refused.code == "method_differs"

    def test_a_job_that_made_a_mixture_is_refused(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive, method={"type": "auto"})
        mixture = model_of(spec, mixture={"zero_shot": "base:tiny"})
        job = publish(world, spec, [mixture], training_file=archive)
        refused = world.refused(training_file=archive, continue_from=job)
        assert (refused.code, refused.param) == ("is_a_mixture", "continue_from")

    def test_sent_again_it_is_the_same_work(self, world: World, archive: str) -> None:
        for knobs in ({}, {"n_steps": 17, "batch_size": 4}, {"n_epochs": 3.7, "batch_size": 4}):
            job, made = trained(world, training_file=archive, method=options_of("ft", knobs))
            first = {"training_file": archive, "continue_from": job}
            body = check_repeats(world, **first)
            assert body["continue_from"] == job
            check_repeats(world, **first, hyperparameters={"learning_rate": 1e-6})
            check_repeats(world, **first, n_seeds=1, seed=8)
            # ... and that of what continues what was continued
            again, _ = trained(world, training_file=archive, continue_from=job)
            check_repeats(world, training_file=archive, continue_from=again)
            check_repeats(world, training_file=archive, continue_from=made[0], n_seeds=2)

    def test_what_chose_a_model_stays_with_what_goes_on_from_it(
        self, world: World, archive: str
    ) -> None:
        job, _ = trained(world, training_file=archive)
        spec = world.resolve(training_file=archive, continue_from=job)
        chosen = spec.starts[0].model_copy(update={"selected_on": ["dusk"]})
        spec = spec.model_copy(update={"starts": [chosen]})
        assert protocol_of(spec).chosen("fine_tuned") == ("dusk",)
        assert protocol_of(spec).chosen("zero_shot") == ()


class TestRefusedContinuations:
    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("ftjob-none", "unknown_job"),
            ("ft:tiny::none", "unknown_model"),
            ("/etc/passwd", "unknown_model"),
            ("base:tiny", "not_fine_tuned"),
        ],
    )
    def test_what_there_is_not(self, world: World, archive: str, name: str, code: str) -> None:
        refused = world.refused(training_file=archive, continue_from=name)
        assert (refused.code, refused.param) == (code, "continue_from")

    def test_a_job_that_has_not_finished(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive)
        request = {"model": "base:tiny", "training_file": archive}
        with world.database.write() as session:
            jobs.create(session, world.project_id, spec, request)
            datasets.mark_checked(session, world.project_id, spec.datasets[0].version, "index", {})
        said = []

        def refused() -> None:
            fault = world.refused(training_file=archive, continue_from=spec.job_id)
            assert (fault.code, fault.param) == ("job_not_finished", "continue_from")
            said.append(fault.message.split("which is ")[1])

        refused()
        with world.database.write() as session:
            stopping.request_pause(session, world.project_id, spec.job_id)
        refused()
        with world.database.write() as session:
            stopping.resume(session, world.project_id, spec.job_id)
        held = claim(world.database)
        with world.database.write() as session:
            leases.fail(session, held, "invalid_dataset", "no image", max_attempts=MOST)
        refused()
        assert [sentence.split(";")[0] for sentence in said] == [
            "validating_files",
            "paused",
            "failed",
        ]
        assert "resume it" in said[1] and "retry it" in said[2]

    def test_what_was_not_trained(self, world: World, archive: str) -> None:
        job, made = trained(world, training_file=archive)
        spec = world.resolve(training_file=archive, method=options("wise_ft", inputs=[job]))
        combined = publish(world, spec, [model_of(spec)], training_file=archive)
        for name in (combined, spec.model_id):
            refused = world.refused(training_file=archive, continue_from=name)
            assert (refused.code, refused.param) == ("not_a_training_job", "continue_from")
            assert "wise_ft" in refused.message and '"anchor": "base"' in refused.message
        mixed = world.resolve(training_file=archive, method=options("vrf", inputs=[job]))
        mixture = model_of(mixed, mixture={"fine_tuned": made[0]})
        publish(world, mixed, [mixture], training_file=archive)
        refused = world.refused(training_file=archive, continue_from=mixed.model_id)
        assert (refused.code, refused.param) == ("is_a_mixture", "continue_from")

    def test_another_method(self, world: World, archive: str) -> None:
        job, _ = trained(world, training_file=archive, method=options_of("ft", {}))
        for method in ("lipsum_ft", "wise_ft"):
            refused = world.refused(
                training_file=archive, continue_from=job, method={"type": method}
            )
            assert (refused.code, refused.param) == ("method_differs", "method.type")
            assert "made by ft" in refused.message

    def test_another_theta0(self, world: World, archive: str) -> None:
        job, _ = trained(world, training_file=archive)
        other = add_base(world.database, world.store, "other", b"other weights")
        refused = world.refused(training_file=archive, model=other, continue_from=job)
        assert (refused.code, refused.param) == ("different_parent", "model")
        assert "name base:tiny as `model`" in refused.message

    def test_other_classes(self, world: World, archive: str) -> None:
        job, _ = trained(world, training_file=archive)
        fewer = world.file(dataset(["train"], ["cat", "dog"], seed=1300))
        refused = world.refused(training_file=fewer, continue_from=job)
        assert (refused.code, refused.param) == ("class_list_differs", "continue_from")

    def test_weights_that_were_deleted(self, world: World, archive: str) -> None:
        method = options_of("ft", {"n_steps": 40})
        job, made = trained(world, training_file=archive, method=method, n_seeds=2)
        with world.database.write() as session:
            models.delete(session, world.project_id, f"{made[1]}:step-40")
        refused = world.refused(training_file=archive, continue_from=job)
        assert (refused.code, refused.param) == ("job_without_model", "continue_from")
        assert "after step 40 (seed 1)" in refused.message
        assert world.resolve(training_file=archive, continue_from=made[1]).seeds == [2]

    def test_another_number_of_seeds(self, world: World, archive: str) -> None:
        job, made = trained(world, training_file=archive, n_seeds=3)
        for n_seeds in (1, 2):
            refused = world.refused(training_file=archive, continue_from=job, n_seeds=n_seeds)
            assert refused.param == "n_seeds"
            assert f"{made[0]}:step-" in refused.message
        assert len(world.resolve(training_file=archive, continue_from=job, n_seeds=3).seeds) == 3

    def test_another_projects(self, world: World, archive: str) -> None:
        job, made = trained(world, training_file=archive)
        for name, code in ((job, "unknown_job"), (made[0], "unknown_model")):
            request = JobRequest(model="base:tiny", training_file=archive, continue_from=name)
            with world.database.read() as session, pytest.raises(InvalidRequest) as caught:
                resolve_job(
                    request,
                    lookup=RecordsLookup(session, "proj-other"),
                    settings=world.settings,
                    job_id="ftjob-x",
                )
            assert caught.value.code == code

    def test_all_faults_are_told_once(self, world: World, archive: str) -> None:
        request = JobRequest(
            model="base:none", training_file=archive, continue_from="ftjob-none", suffix="a" * 40
        )
        with world.database.read() as session:
            lookup = RecordsLookup(session, world.project_id)
            spec, faults = check_job(
                request, lookup=lookup, settings=world.settings, job_id="ftjob-x"
            )
        assert spec is None
        assert [fault.code for fault in faults] == ["unknown_job", "unknown_model"]


class TestAnchor:
    def test_theta0_is_the_base_and_the_start_the_model(self, world: World, archive: str) -> None:
        _, (first,) = trained(world, training_file=archive, seed=6)
        plain = world.resolve(training_file=archive, model=first)
        assert (plain.theta0.id, plain.starts) == (first, [])
        spec = world.resolve(training_file=archive, model=first, anchor="base", n_seeds=2)
        assert spec.theta0.id == "base:tiny"
        assert ids(spec.starts) == [first, first]
        assert (spec.seeds, spec.slice_seed) == ([0, 1], 6)
        assert spec.model_id.startswith("ft:tiny:")

    def test_the_base_of_what_was_made_of_what_was_made(self, world: World, archive: str) -> None:
        _, (first,) = trained(world, training_file=archive)
        _, (second,) = trained(world, training_file=archive, model=first)
        job, (third,) = trained(world, training_file=archive, model=second, anchor="base")
        for name in (second, third):
            spec = world.resolve(training_file=archive, model=name, anchor="base")
            assert spec.theta0.id == "base:tiny"
            assert ids(spec.starts) == [name]
        # What continues the third keeps its theta0, which is the base.
        refused = world.refused(training_file=archive, model=second, continue_from=job)
        assert "name base:tiny as `model`" in refused.message

    def test_a_base_is_its_own(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive, anchor="base")
        plain = world.resolve(training_file=archive)
        assert spec.starts == []
        assert jobs.spec_digest(spec) == jobs.spec_digest(plain)

    def test_other_classes_and_what_was_combined_are_taken(
        self, world: World, archive: str
    ) -> None:
        job, _ = trained(world, training_file=archive)
        made = world.resolve(training_file=archive, method=options("wise_ft", inputs=[job]))
        publish(world, made, [model_of(made)], training_file=archive)
        fewer = world.file(dataset(["train"], ["cat", "dog"], seed=1500))
        spec = world.resolve(training_file=fewer, model=made.model_id, anchor="base")
        assert (spec.theta0.id, ids(spec.starts)) == ("base:tiny", [made.model_id])

    def test_sent_again_it_is_the_same_work(self, world: World, archive: str) -> None:
        _, (first,) = trained(world, training_file=archive)
        body = check_repeats(world, training_file=archive, model=first, anchor="base", n_seeds=2)
        assert (body["model"], body["anchor"]) == (first, "base")
        assert "anchor" not in check_repeats(world, training_file=archive, model=first)

    def test_where_it_means_nothing(self, world: World, archive: str) -> None:
        job, (first,) = trained(world, training_file=archive)
        for fields in (
            {"method": options("wise_ft", inputs=[job])},
            {"method": options("evaluate")},
            {"continue_from": job},
        ):
            refused = world.refused(training_file=archive, anchor="base", **fields)
            assert refused.param == "anchor"
        _, (second,) = trained(world, training_file=archive, model=first)
        with world.database.write() as session:
            models.delete(session, world.project_id, first)
        refused = world.refused(training_file=archive, model=second, anchor="base")
        assert (refused.code, refused.param) == ("unknown_base", "anchor")
        assert first in refused.message


def options_of(method: str, hyperparameters: dict[str, Any]) -> dict[str, Any]:
    return options(method, hyperparameters=hyperparameters)


def publish(world: World, spec: JobSpec, made: list[StoredModel], **fields: Any) -> str:
    """The job of that specification, asked for by these fields, succeeded with these models."""
    with world.database.write() as session:
        request = {"model": spec.theta0.id, **fields}
        jobs.create(session, world.project_id, spec, request)
        for reference in spec.datasets:
            datasets.mark_checked(session, world.project_id, reference.version, "index", {})
    held = claim(world.database)
    while held.job_id != spec.job_id:  # of other jobs, which wait
        held = claim(world.database)
    with world.database.write() as session:
        publishing.publish(session, held, made, max_attempts=MOST)
    return spec.job_id


def model_of(spec: JobSpec, **info: Any) -> StoredModel:
    return StoredModel(
        id=spec.model_id,
        kind="fine_tuned",
        object_key=f"jobs/{spec.job_id}/attempts/1/model.tar",
        sha256=spec.job_id,
        size=1,
        members={},
        info=info,
        seed=0,
    )
