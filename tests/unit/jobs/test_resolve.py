"""From a request to a specification, over real rows of real archives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.errors import InvalidRequest
from core.jobs.lookup import RecordsLookup
from core.jobs.request import JobRequest
from core.jobs.resolve import resolve_job
from core.jobs.spec import JobSpec
from core.records import files, jobs
from tests.api_service import add_base, dataset, png, zip_of
from tests.unit.jobs.world import World

_UNEVEN = [("clipart", "cat", 1), ("sketch", "cat", 2), ("sketch", "dog", 3)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def archive(world: World) -> str:
    """An archive with train (12 images), test and sketch."""
    return world.file(dataset())


def options(method: str, **values: Any) -> dict[str, Any]:
    return {"type": method, method: values}


class TestTraining:
    def test_everything_is_resolved(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive)
        assert spec.method == "lipsum_ft"
        assert spec.hyperparameters["batch_size"] == 1  # a tenth of 11, the twelfth is held out
        assert spec.hyperparameters["n_steps"] == 110
        assert spec.theta0.id == "base:tiny"
        assert spec.model_id == f"ft:tiny::{spec.job_id.removeprefix('ftjob-')}"
        assert spec.seeds == [0]
        assert spec.alphas == [0.5]
        assert spec.max_unreadable_fraction == world.settings.max_unreadable_fraction
        assert [split.name for split in spec.splits] == ["train", "test", "sketch"]
        assert {split.version for split in spec.splits} == {spec.datasets[0].version}

    def test_the_same_request_is_the_same_work(self, world: World, archive: str) -> None:
        first, second = world.resolve(training_file=archive), world.resolve(training_file=archive)
        assert jobs.spec_digest(first) == jobs.spec_digest(second)

    def test_seeds_follow_one_another(self, world: World, archive: str) -> None:
        assert world.resolve(training_file=archive, seed=5, n_seeds=3).seeds == [5, 6, 7]
        refused = world.refused(training_file=archive, seed=2**31 - 1, n_seeds=2)
        assert refused.param == "seed"

    def test_alphas_are_a_sorted_set(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive, evaluation={"alphas": [0.75, 0.25, 0.75]})
        assert spec.alphas == [0.25, 0.75]

    def test_the_methods_own_hyperparameters_win(self, world: World, archive: str) -> None:
        spec = world.resolve(
            training_file=archive,
            hyperparameters={"batch_size": 2, "n_epochs": 3},
            method=options("ft", hyperparameters={"batch_size": 4}),
        )
        assert spec.hyperparameters["batch_size"] == 4
        assert spec.hyperparameters["n_epochs"] == 3

    def test_splits_from_other_files(self, world: World, archive: str) -> None:
        validation = world.file(dataset(["val"], seed=100), "evals")
        night = world.file(dataset(["anything"], ["cat", "owl"], seed=200), "evals")
        spec = world.resolve(
            training_file=archive,
            validation_file=validation,
            evaluation={"splits": [{"name": "night", "file": night, "selection": True}]},
        )
        assert [(split.name, split.archive_split, split.selection) for split in spec.splits] == [
            ("train", "train", False),
            ("test", "test", False),
            ("sketch", "sketch", False),
            ("val", "val", False),
            ("night", "train", True),  # one folder of classes is read as train
        ]
        assert len(spec.datasets) == 3
        assert spec.hyperparameters["n_steps"] == 120  # nothing is held out

    def test_one_file_may_be_two_splits(self, world: World, archive: str) -> None:
        extra = world.file(dataset(["extra"], seed=300))
        splits = [{"name": name, "file": extra} for name in ("day", "dusk")]
        spec = world.resolve(training_file=archive, evaluation={"splits": splits})
        assert len(spec.datasets) == 2

    def test_a_fine_tuned_model_can_be_trained_on(self, world: World, archive: str) -> None:
        _, model_id = world.finished_job(training_file=archive)
        spec = world.resolve(training_file=archive, model=model_id, suffix="more")
        assert spec.theta0.id == model_id
        assert spec.model_id.startswith("ft:tiny:more:")

    def test_ids_never_exceed_their_length(self, world: World, archive: str) -> None:
        base = add_base(world.database, world.store, "b" * 40)
        assert world.resolve(training_file=archive, model=base).model_id.startswith("ft:bbb")
        refused = world.refused(training_file=archive, model=base, suffix="s" * 40)
        assert refused.param == "suffix"
        room = int(refused.message.split("may have ")[1].split(",")[0])
        assert world.resolve(training_file=archive, model=base, suffix="s" * room)
        world.refused(training_file=archive, model=base, suffix="s" * (room + 1))


class TestProtocol:
    def test_what_is_scored_beyond_the_splits_is_resolved(self, world: World, archive: str) -> None:
        line = [(0.3, 0.2), (0.5, 0.4), (0.7, 0.5)]
        spec = world.resolve(
            training_file=archive,
            evaluation={
                "corruptions": ["corruption.noise.2"],
                "baselines": {"sketch": line},
                "averages": {"mine": ["test", "sketch"]},
            },
        )
        noises = ["gaussian_noise", "shot_noise", "impulse_noise"]
        assert spec.corruptions == [f"corruption.{name}.2" for name in noises]
        assert spec.baselines == {"sketch": line}
        assert spec.averages == {
            "shifted": ["sketch"],
            "corruptions": spec.corruptions,
            "mine": ["test", "sketch"],
        }
        assert JobSpec.model_validate_json(spec.model_dump_json()) == spec

    def test_a_specification_from_before_is_read(self, world: World, archive: str) -> None:
        written = world.resolve(training_file=archive).model_dump(
            exclude={"corruptions", "baselines", "averages"}
        )
        del written["theta0"]["selected_on"], written["theta0"]["base"]
        assert JobSpec.model_validate(written).averages == {}

    def test_what_chose_a_model_goes_with_it(self, world: World, archive: str) -> None:
        chosen = {"selected_on": ["dusk"], "base": "base:tiny"}
        base = add_base(world.database, world.store, "chosen", **chosen)  # type: ignore[arg-type]
        theta0 = world.resolve(training_file=archive, model=base).theta0
        assert (theta0.selected_on, theta0.base) == (["dusk"], "base:tiny")

    def test_names_of_built_in_shifts_are_taken(self, world: World, archive: str) -> None:
        extra = world.file(dataset(["x"], seed=1300))
        split = {"name": "corruption.fog.3", "file": extra}
        refused = world.refused(training_file=archive, evaluation={"splits": [split]})
        assert (refused.code, refused.param) == ("reserved_split", "evaluation.splits.0.name")
        whole = world.file(dataset(["train", "corruption.fog.3"], seed=1400))
        refused = world.refused(training_file=whole)
        assert (refused.code, refused.param) == ("reserved_split", "training_file")

    def test_unknown_shifts_are_refused_when_the_job_is(self, world: World, archive: str) -> None:
        evaluation = {"corruptions": ["corruption.smog.3"]}
        refused = world.refused(training_file=archive, evaluation=evaluation)
        assert (refused.code, refused.param) == ("unknown_corruption", "evaluation.corruptions.0")


class TestRefusals:
    @pytest.mark.parametrize(
        "model", ["tiny", "base:none", "/etc/passwd", "hf-hub:x/y", "https://x.org", "", "a" * 96]
    )
    def test_models_that_are_not_registered(self, world: World, archive: str, model: str) -> None:
        refused = world.refused(training_file=archive, model=model)
        assert (refused.code, refused.param) == ("unknown_model", "model")
        assert repr(model)[:70] in refused.message
        assert "base:tiny" in refused.message

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (dataset(["test", "sketch"]), "no_train_split"),
            (dataset(["train"], ["cat"]), "one_class"),
        ],
    )
    def test_archives_that_cannot_be_trained_on(self, world: World, data: bytes, code: str) -> None:
        refused = world.refused(training_file=world.file(data))
        assert (refused.code, refused.param) == (code, "training_file")

    def test_scored_classes_that_are_not_trained_on(self, world: World, archive: str) -> None:
        other = world.file(dataset(["x"], ["cat", "emu"], seed=400))
        split = {"name": "x", "file": other}
        refused = world.refused(training_file=archive, evaluation={"splits": [split]})
        assert (refused.code, refused.param) == ("unknown_classes", "evaluation.splits.0.file")
        assert "'emu'" in refused.message
        refused = world.refused(training_file=archive, validation_file=other)
        assert refused.param == "validation_file"

    def test_a_split_of_several(self, world: World, archive: str) -> None:
        refused = world.refused(training_file=archive, validation_file=archive)
        assert (refused.code, refused.param) == ("ambiguous_split", "validation_file")

    def test_two_splits_of_one_name(self, world: World, archive: str) -> None:
        split = {"name": "sketch", "file": world.file(dataset(["x"], seed=500))}
        refused = world.refused(training_file=archive, evaluation={"splits": [split]})
        assert (refused.code, refused.param) == ("duplicate_split", "evaluation.splits")
        assert "'sketch'" in refused.message

    def test_train_is_not_scored(self, world: World, archive: str) -> None:
        split = {"name": "train", "file": archive}
        refused = world.refused(training_file=archive, evaluation={"splits": [split]})
        assert (refused.code, refused.param) == ("reserved_split", "evaluation.splits.0.name")

    def test_two_validation_splits(self, world: World) -> None:
        with_val = world.file(dataset(["train", "val"], seed=600))
        validation = world.file(dataset(["x"], seed=700))
        refused = world.refused(training_file=with_val, validation_file=validation)
        assert (refused.code, refused.param) == ("duplicate_split", "validation_file")

    def test_files_for_scoring_are_not_trained_on(self, world: World) -> None:
        refused = world.refused(training_file=world.file(dataset(seed=800), "evals"))
        assert (refused.code, refused.param) == ("wrong_purpose", "training_file")

    def test_a_deleted_file(self, world: World) -> None:
        file = world.file(dataset(seed=900))
        with world.database.write() as session:
            files.delete(session, world.project_id, file)
        assert world.refused(training_file=file).code == "unknown_file"

    def test_another_projects_file(self, world: World, archive: str) -> None:
        request = JobRequest(model="base:tiny", training_file=archive)
        with world.database.read() as session, pytest.raises(InvalidRequest) as caught:
            resolve_job(
                request,
                lookup=RecordsLookup(session, "proj-other"),
                settings=world.settings,
                job_id="ftjob-x",
            )
        assert caught.value.code == "unknown_file"

    @pytest.mark.parametrize(
        ("method", "code"),
        [
            ({"type": "nothing"}, "unknown_method"),
            ({"type": "ft", "lipsum_ft": {}}, "invalid_method"),
            ({"type": "ft", "ft": 5}, "invalid_method"),
            ({"type": "ft", "ft": {"hyper": {}}}, "invalid_method"),
            ({"type": "ft", "ft": {"hyperparameters": [1]}}, "invalid_hyperparameters"),
            ({"type": "ft", "ft": {"inputs": ["a"]}}, "wrong_number_of_inputs"),
            ({"type": "ft", "ft": {"inputs": "a"}}, "invalid_spec"),
        ],
    )
    def test_methods(self, world: World, archive: str, method: dict[str, Any], code: str) -> None:
        refused = world.refused(training_file=archive, method=method)
        assert refused.code == code
        assert (refused.param or "").startswith("method")


class TestEvaluation:
    def test_models_on_sets_that_came_later(self, world: World, archive: str) -> None:
        _, model_id = world.finished_job(training_file=archive)
        night = world.file(dataset(["night"], ["cat"], seed=1000), "evals")
        spec = world.resolve(
            training_file=archive,
            method=options("evaluate", inputs=["base:tiny", model_id]),
            evaluation={"splits": [{"name": "night", "file": night}]},
        )
        assert [model.id for model in spec.inputs] == ["base:tiny", model_id]
        assert spec.splits[0].name == "train"  # whose classes are the columns of the head
        assert spec.splits[-1].name == "night"
        assert spec.alphas == []

    def test_the_seed_is_that_of_the_model(self, world: World, archive: str) -> None:
        _, model_id = world.finished_job(training_file=archive, seed=9)
        method = options("evaluate", inputs=[model_id])
        row_seed = world.resolve(training_file=archive, method=method).seeds
        assert row_seed == [0]  # what the published row says
        assert world.resolve(training_file=archive, method=method, seed=3).seeds == [3]

    def test_an_archive_without_train_can_be_scored(self, world: World) -> None:
        shifted = world.file(dataset(["sketch", "clipart"], seed=1100), "evals")
        spec = world.resolve(training_file=shifted, method=options("evaluate"))
        assert [split.name for split in spec.splits] == ["clipart", "sketch"]

    def test_then_the_split_of_most_classes_gives_the_columns(self, world: World) -> None:
        entries = {f"{split}/{name}/1.png": png(hash_) for split, name, hash_ in _UNEVEN}
        spec = world.resolve(
            training_file=world.file(zip_of(entries), "evals"), method=options("evaluate")
        )
        assert [split.name for split in spec.splits] == ["sketch", "clipart"]

    def test_one_class_is_nothing_to_tell_apart(self, world: World) -> None:
        one = world.file(dataset(["sketch", "clipart"], ["cat"], seed=1200), "evals")
        assert world.refused(training_file=one, method=options("evaluate")).code == "one_class"

    def test_other_classes_than_the_models(self, world: World, archive: str) -> None:
        _, model_id = world.finished_job(training_file=archive)
        fewer = world.file(dataset(["train"], ["cat", "dog"], seed=1300))
        refused = world.refused(training_file=fewer, method=options("evaluate", inputs=[model_id]))
        assert (refused.code, refused.param) == ("class_list_differs", "method.evaluate.inputs")
        assert "'owl'" in refused.message

    def test_nothing_is_drawn(self, world: World, archive: str) -> None:
        refused = world.refused(training_file=archive, method=options("evaluate"), n_seeds=2)
        assert refused.param == "n_seeds"


class TestCombination:
    def test_a_job_or_its_model(self, world: World, archive: str) -> None:
        job_id, model_id = world.finished_job(training_file=archive)
        for name in (job_id, model_id):
            spec = world.resolve(
                training_file=archive,
                method=options("wise_ft", inputs=[name], hyperparameters={"alpha": 0.3}),
            )
            assert [model.id for model in spec.inputs] == [model_id]
            assert spec.hyperparameters == {"alpha": 0.3, "alphas": [], "fisher": False}

    @pytest.mark.parametrize("inputs", [[], ["a", "b"]])
    def test_a_line_has_two_ends(self, world: World, archive: str, inputs: list[str]) -> None:
        refused = world.refused(training_file=archive, method=options("wise_ft", inputs=inputs))
        assert refused.code == "wrong_number_of_inputs"

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("ftjob-none", "unknown_job"),
            ("ft:tiny::none", "unknown_model"),
            ("base:tiny", "not_fine_tuned"),
        ],
    )
    def test_inputs_that_are_none(self, world: World, archive: str, name: str, code: str) -> None:
        refused = world.refused(training_file=archive, method=options("wise_ft", inputs=[name]))
        assert (refused.code, refused.param) == (code, "method.wise_ft.inputs")

    def test_a_job_that_has_not_finished(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive)
        request = {"model": "base:tiny", "training_file": archive}
        with world.database.write() as session:
            jobs.create(session, world.project_id, spec, request)
        method = options("wise_ft", inputs=[spec.job_id])
        assert world.refused(training_file=archive, method=method).code == "job_without_model"
        with world.database.write() as session:
            jobs.request_cancel(session, world.project_id, spec.job_id)

    def test_a_recipe_gives_method_and_hyperparameters(self, world: World, archive: str) -> None:
        spec = world.resolve(training_file=archive, recipe="wise-ft/imagenet-vitb16")
        assert spec.method == "ft"
        assert (spec.hyperparameters["learning_rate"], spec.hyperparameters["warmup_steps"]) == (
            3e-5,
            500,
        )
        changed = world.resolve(
            training_file=archive,
            recipe="wise-ft/imagenet-vitb16",
            hyperparameters={"learning_rate": 1e-4},
        )
        assert changed.hyperparameters == {**spec.hyperparameters, "learning_rate": 1e-4}

    def test_a_recipe_that_cannot_be_used(self, world: World, archive: str) -> None:
        unknown = world.refused(training_file=archive, recipe="paper/../demo")
        assert unknown.code == "unknown_recipe" and "wise-ft/imagenet-vitb16" in unknown.message
        differs = world.refused(training_file=archive, recipe="demo", method={"type": "ft"})
        assert (differs.code, differs.param) == ("recipe_differs", "method.type")
        exact = world.refused(
            training_file=archive,
            recipe="paper/domainnet-vitb16",
            hyperparameters={"n_steps": 10},
        )
        assert exact.code == "recipe_is_exact" and "n_steps" in exact.message

    def test_a_method_that_does_not_fit_the_base(self, world: World, archive: str) -> None:
        base = add_base(
            world.database, world.store, "rn50", b"rn50", image_tower="resnet", text_tower="none"
        )
        for name in ("r_adapter", "flyp"):
            refused = world.refused(training_file=archive, model=base, method={"type": name})
            assert (refused.code, refused.param) == ("method_does_not_fit", "method.type")
            fitting = refused.message.partition("Methods that fit it are ")[2]
            assert "lipsum_ft" in fitting and name not in fitting
        assert world.resolve(training_file=archive, model=base).method == "lipsum_ft"

    def test_another_parent(self, world: World, archive: str) -> None:
        other = add_base(world.database, world.store, "other", b"other weights")
        _, model_id = world.finished_job(training_file=archive)
        refused = world.refused(
            training_file=archive, model=other, method=options("wise_ft", inputs=[model_id])
        )
        assert (refused.code, refused.param) == ("different_parent", "model")
        assert "name base:tiny" in refused.message
