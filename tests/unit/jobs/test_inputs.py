"""What the inputs of a combination stand for, and which are refused, over real rows."""

from __future__ import annotations

from typing import Any

import pytest

from core.jobs.messages import StoredModel
from core.records import datasets, jobs, models, publishing
from tests.api_service import dataset
from tests.service_builders import MOST, claim
from tests.unit.jobs.test_resolve import World, archive, options, world

__all__ = ["archive", "world"]


def finished(
    world: World, mixture: dict[str, str] | None = None, **fields: Any
) -> tuple[str, list[str]]:
    """A job that succeeded with a model for each of its seeds, and a checkpoint: (id, models)."""
    spec = world.resolve(**fields)
    request = {"model": spec.theta0.id, "training_file": fields["training_file"]}
    with world.database.write() as session:
        jobs.create(session, world.project_id, spec, request)
        for reference in spec.datasets:
            datasets.mark_checked(session, world.project_id, reference.version, "index", {})
    held = claim(world.database)
    assert held.job_id == spec.job_id
    own = [spec.model_id, *(f"{spec.model_id}:seed-{seed}" for seed in spec.seeds[1:])]
    made = [
        StoredModel(
            id=model_id,
            kind="checkpoint" if ":step-" in model_id else "fine_tuned",
            object_key=f"jobs/{spec.job_id}/attempts/1/{place}.tar",
            sha256=model_id,
            size=1,
            members={},
            info={"mixture": mixture} if mixture else {},
            seed=seed,
        )
        for place, (model_id, seed) in enumerate(
            [
                *zip(own, spec.seeds, strict=True),
                (f"{own[0]}:step-5", spec.seeds[0]),
            ]
        )
    ]
    with world.database.write() as session:
        publishing.publish(session, held, made, max_attempts=MOST)
    return spec.job_id, own


class TestWhatTheyStandFor:
    def test_a_job_is_all_its_models_each_with_its_seed(self, world: World, archive: str) -> None:
        job, made = finished(world, training_file=archive, seed=5, n_seeds=3)
        spec = world.resolve(training_file=archive, method=options("wise_ft", inputs=[job]))
        assert [model.id for model in spec.inputs] == made
        assert spec.seeds == [5, 6, 7]
        assert spec.held_out_seed == spec.slice_seed == 5  # all three were trained beside it
        assert spec.held_out_is_new

    def test_a_model_is_itself_and_keeps_its_jobs_slice(self, world: World, archive: str) -> None:
        _, made = finished(world, training_file=archive, seed=5, n_seeds=3)
        for name in (made[2], f"{made[0]}:step-5"):
            spec = world.resolve(
                training_file=archive, method=options("temperature", inputs=[name])
            )
            assert [model.id for model in spec.inputs] == [name]
            assert spec.seeds == [7 if name == made[2] else 5]
            assert spec.slice_seed == 5  # and not the model's own seed

    def test_a_seed_given_is_the_rows_and_not_the_slices(self, world: World, archive: str) -> None:
        _, made = finished(world, training_file=archive, seed=5)
        method = options("temperature", inputs=made)
        spec = world.resolve(training_file=archive, method=method, seed=9)
        assert (spec.seeds, spec.slice_seed) == ([9], 5)

    def test_methods_of_several_inputs_take_all_at_once(self, world: World, archive: str) -> None:
        job, made = finished(world, training_file=archive, seed=1, n_seeds=2)
        other, also = finished(world, training_file=archive, seed=1)
        spec = world.resolve(training_file=archive, method=options("soup", inputs=[job]))
        assert ([model.id for model in spec.inputs], spec.seeds) == (made, [1])
        spec = world.resolve(training_file=archive, method=options("soup", inputs=[other, job]))
        assert [model.id for model in spec.inputs] == [*also, *made]
        spec = world.resolve(training_file=archive, method=options("evaluate", inputs=[job]))
        assert [model.id for model in spec.inputs] == made

    def test_a_deleted_model_stands_for_nothing(self, world: World, archive: str) -> None:
        job, made = finished(world, training_file=archive, n_seeds=2)
        with world.database.write() as session:
            models.delete(session, world.project_id, made[0])
        method = options("wise_ft", inputs=[job])
        spec = world.resolve(training_file=archive, method=method)
        assert ([model.id for model in spec.inputs], spec.seeds) == (made[1:], [1])
        with world.database.write() as session:
            models.delete(session, world.project_id, made[1])
        refused = world.refused(training_file=archive, method=method)
        assert (refused.code, refused.param) == ("job_without_model", "method.wise_ft.inputs")

    def test_what_is_made_of_a_combination_keeps_the_slice(
        self, world: World, archive: str
    ) -> None:
        job, _ = finished(world, training_file=archive, seed=8, n_seeds=2)
        mixed, _ = finished(world, training_file=archive, method=options("soup", inputs=[job]))
        spec = world.resolve(training_file=archive, method=options("temperature", inputs=[mixed]))
        assert (spec.seeds, spec.slice_seed) == ([8], 8)


class TestHeldOutSlices:
    def test_different_slices_are_new_to_nobody(self, world: World, archive: str) -> None:
        pair = [finished(world, training_file=archive, seed=seed)[0] for seed in (0, 1)]
        refused = world.refused(training_file=archive, method=options("soup", inputs=pair))
        assert (refused.code, refused.param) == ("no_new_validation_images", "validation_file")
        assert "seeds 0 and 1" in refused.message
        uniform = options("soup", inputs=pair, hyperparameters={"recipe": "uniform"})
        spec = world.resolve(training_file=archive, method=uniform)
        assert (spec.slice_seed, spec.held_out_is_new) == (0, False)  # nothing is fitted to it
        again, _ = finished(world, training_file=archive, method=uniform)
        refused = world.refused(
            training_file=archive, method=options("temperature", inputs=[again])
        )
        assert refused.code == "no_new_validation_images"
        validation = world.file(dataset(["val"], seed=5000), "evals")
        spec = world.resolve(
            training_file=archive, validation_file=validation, method=options("soup", inputs=pair)
        )
        assert spec.held_out_is_new

    def test_a_model_of_all_of_train_leaves_no_slice(self, world: World, archive: str) -> None:
        validation = world.file(dataset(["val"], seed=5100), "evals")
        job, made = finished(world, training_file=archive, validation_file=validation)
        for method in ("temperature", "tpgm", "vrf"):
            refused = world.refused(training_file=archive, method=options(method, inputs=[job]))
            assert refused.code == "no_new_validation_images"
            assert made[0] in refused.message
        for method in ("wise_ft", "evaluate"):
            spec = world.resolve(training_file=archive, method=options(method, inputs=[job]))
            assert not spec.held_out_is_new
        spec = world.resolve(
            training_file=archive,
            validation_file=validation,
            method=options("temperature", inputs=[job]),
        )
        assert spec.held_out_is_new

    def test_training_on_keeps_the_slice_of_what_it_begins_from(
        self, world: World, archive: str
    ) -> None:
        _, made = finished(world, training_file=archive, seed=6)
        spec = world.resolve(training_file=archive, model=made[0])
        assert (spec.seeds, spec.slice_seed) == ([0], 6)


class TestRefusals:
    @pytest.mark.parametrize("method", ["soup", "model_stock", "ensemble"])
    def test_one_model_is_too_few(self, world: World, archive: str, method: str) -> None:
        job, _ = finished(world, training_file=archive)
        refused = world.refused(training_file=archive, method=options(method, inputs=[job]))
        assert (refused.code, refused.param) == (
            "wrong_number_of_inputs",
            f"method.{method}.inputs",
        )
        assert f"stands for one model; {method} takes 2 to 64" in refused.message

    @pytest.mark.parametrize("method", ["temperature", "tpgm", "vrf", "wise_ft"])
    @pytest.mark.parametrize("inputs", [[], ["a", "b"]])
    def test_one_input_is_one_job_or_one_model(
        self, world: World, archive: str, method: str, inputs: list[str]
    ) -> None:
        refused = world.refused(training_file=archive, method=options(method, inputs=inputs))
        assert refused.code == "wrong_number_of_inputs"
        assert f"has {len(inputs)} entries; {method} takes 1" in refused.message

    def test_more_than_the_service_takes(self, world: World, archive: str) -> None:
        names = [f"ft:{n}" for n in range(65)]
        refused = world.refused(training_file=archive, method=options("soup", inputs=names))
        assert refused.code == "wrong_number_of_inputs"

    def test_a_model_twice(self, world: World, archive: str) -> None:
        job, made = finished(world, training_file=archive, n_seeds=2)
        for inputs in ([job, job], [made[0], made[0]], [job, made[1]]):
            refused = world.refused(training_file=archive, method=options("soup", inputs=inputs))
            assert (refused.code, refused.param) == ("repeated_input", "method.soup.inputs")

    def test_weights_that_are_not_one_for_each_model(self, world: World, archive: str) -> None:
        job, _ = finished(world, training_file=archive, n_seeds=2)
        for weights, fits in (([1, 2], True), ([1, 2, 3], False)):
            method = options("ensemble", inputs=[job], hyperparameters={"weights": weights})
            if fits:
                assert len(world.resolve(training_file=archive, method=method).inputs) == 2
                continue
            refused = world.refused(training_file=archive, method=method)
            assert refused.code == "wrong_number_of_inputs"
            assert refused.message == "weights has 3 numbers for 2 models; give one to each."

    def test_several_models_have_their_own_seeds(self, world: World, archive: str) -> None:
        job, _ = finished(world, training_file=archive, n_seeds=2)
        refused = world.refused(
            training_file=archive, method=options("wise_ft", inputs=[job]), seed=4
        )
        assert refused.param == "seed" and "(0, 1)" in refused.message
        refused = world.refused(
            training_file=archive, method=options("wise_ft", inputs=[job]), n_seeds=2
        )
        assert refused.param == "n_seeds"

    def test_a_mixture_is_no_set_of_weights(self, world: World, archive: str) -> None:
        job, made = finished(world, training_file=archive)
        members = {"zero_shot": "base:tiny", "fine_tuned": made[0]}
        mixed, (mixture,) = finished(
            world, members, training_file=archive, method=options("vrf", inputs=[job])
        )
        for method in ("wise_ft", "temperature", "vrf"):
            refused = world.refused(training_file=archive, method=options(method, inputs=[mixed]))
            assert (refused.code, refused.param) == ("is_a_mixture", f"method.{method}.inputs")
            assert f"base:tiny, {made[0]}" in refused.message
        for method in ("soup", "ensemble"):
            refused = world.refused(
                training_file=archive, method=options(method, inputs=[job, mixture])
            )
            assert refused.code == "is_a_mixture"
        refused = world.refused(training_file=archive, model=mixture)
        assert (refused.code, refused.param) == ("is_a_mixture", "model")
        scored = world.resolve(
            training_file=archive, model=mixture, method=options("evaluate", inputs=[mixed])
        )
        assert [model.id for model in scored.inputs] == [mixture]
