"""A job's specification as a request: whatever was asked, the request gives the same work again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict
from core.jobs.lookup import RecordsLookup
from core.jobs.repeat import request_of
from core.learning.methods import registry
from core.learning.methods.base import TrainingHyperparameters
from core.learning.recipes import recipes
from core.records import jobs
from core.records.tables import Job
from tests.api_service import dataset
from tests.unit.jobs.world import World

TRAINING = [
    name
    for name, method in registry().items()
    if issubclass(method.Hyperparameters, TrainingHyperparameters)
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def archive(world: World) -> str:
    """Of 39 training images, 4 of which are held out: no step count divides by them."""
    return world.file(dataset(images=13))


def create(world: World, **fields: Any) -> Job:
    spec = world.resolve(**fields)
    request = {"model": "base:tiny", **fields}
    with world.database.write() as session:
        return jobs.create(session, world.project_id, spec, request)


def check_repeats(world: World, **fields: Any) -> dict[str, Any]:
    """The request of the job made of these fields, which must give its digest again, twice."""
    first = create(world, **fields)
    again = create(world, **repeated(world, first))
    third = create(world, **repeated(world, again))
    assert again.spec_digest == first.spec_digest == third.spec_digest
    return repeated(world, first)


def repeated(world: World, job: Job) -> dict[str, Any]:
    with world.database.read() as session:
        return request_of(job, RecordsLookup(session, world.project_id))


@pytest.mark.parametrize("method", TRAINING)
@pytest.mark.parametrize(
    "hyperparameters",
    [
        {},
        {"n_steps": 17, "batch_size": 8},
        {"n_epochs": 3.7, "batch_size": 8},
        {"n_epochs": 3, "n_steps": 5},
        {"n_steps": "auto", "n_epochs": 0.001},
        {"micro_batch_size": 3, "batch_size": 7},
    ],
)
def test_of_every_training_method(
    world: World, archive: str, method: str, hyperparameters: dict[str, Any]
) -> None:
    body = check_repeats(
        world,
        training_file=archive,
        method={"type": method, method: {"hyperparameters": hyperparameters}},
    )
    assert "auto" not in [
        value
        for name, value in body["method"][method]["hyperparameters"].items()
        if name in ("learning_rate", "batch_size", "n_steps", "n_epochs", "micro_batch_size")
    ]


@pytest.mark.parametrize("recipe", sorted(recipes()))
def test_of_every_recipe(world: World, archive: str, recipe: str) -> None:
    assert "recipe" not in check_repeats(world, training_file=archive, recipe=recipe)


def test_of_everything_that_can_be_asked(world: World, archive: str) -> None:
    night = world.file(dataset(["night"], seed=200), "evals")
    validation = world.file(dataset(["x"], seed=400), "evals")
    body = check_repeats(
        world,
        training_file=archive,
        validation_file=validation,
        hyperparameters={"n_epochs": 2},
        method={"type": "ft", "ft": {"hyperparameters": {"batch_size": 4}}},
        evaluation={
            "splits": [{"name": "night", "file": night, "selection": True}],
            "alphas": [0.75, 0.25, 0.25],
            "corruptions": ["corruption.noise.2"],
            "baselines": {"sketch": [(0.3, 0.2), (0.5, 0.4), (0.7, 0.5)]},
            "averages": {"mine": ["test", "night"]},
            "allow_duplicates": True,
        },
        seed=5,
        n_seeds=3,
        suffix="mine",
        metadata={"team": "birds"},
    )
    assert (body["seed"], body["n_seeds"], body["suffix"]) == (5, 3, "mine")
    assert body["metadata"] == {"team": "birds"}
    assert len(body["evaluation"]["corruptions"]) == 3


def test_of_combinations_and_evaluations(tmp_path: Path) -> None:
    world = World(tmp_path)
    archive = world.file(dataset(["train", "val", "sketch"]))
    job, model = world.finished_job(training_file=archive, seed=7)
    other, _ = world.finished_job(training_file=archive, seed=8)
    for method, inputs in (
        ("wise_ft", [job]),
        ("soup", [job, other]),
        ("evaluate", [model]),
        ("evaluate", []),
    ):
        check_repeats(
            world,
            training_file=archive,
            method={"type": method, method: {"inputs": inputs} if inputs else {}},
        )
    world.database.close()


def test_a_report_of_a_comparison_is_no_request(world: World, archive: str) -> None:
    spec = world.resolve(training_file=archive).model_copy(update={"method": "compare"})
    with world.database.write() as session:
        job = jobs.create(
            session, world.project_id, spec, {"model": "base:tiny", "training_file": archive}
        )
    with pytest.raises(Conflict) as caught:
        repeated(world, job)
    assert caught.value.code == "not_a_request"
