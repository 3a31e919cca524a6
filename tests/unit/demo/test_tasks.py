"""What a user of a drawn world is given: images enough, and settings that every method takes."""

from __future__ import annotations

from cli.compare.worlds import BASES, contenders
from core.comparisons.plan import make_plan
from core.comparisons.request import ComparisonRequest
from core.demo.worlds import WORLDS
from core.demo.worlds.tasks import TASKS
from core.learning.architecture import Architecture
from core.learning.methods import registry
from core.learning.models import load_directory


def test_every_world_is_a_task_of_the_same_size() -> None:
    assert TASKS.keys() == WORLDS.keys()
    for name, task in TASKS.items():
        n_classes = len(WORLDS[name].classes)
        assert 8_000 <= n_classes * task.train_per_class <= 10_000
        assert n_classes * task.test_per_class == 2_000


def test_settings_are_ones_that_the_methods_have() -> None:
    for task in TASKS.values():
        for name, method in registry().items():
            if method.kind != "training":
                continue
            own = task.own.get(name, {})
            resolved = method.resolve({**task.hyperparameters, **own}, n_train=9000)
            assert resolved["n_steps"] == 500
            assert all(resolved[knob] == value for knob, value in own.items())
        assert task.own.keys() <= registry().keys()


def test_methods_with_settings_of_their_own_keep_them_under_combinations() -> None:
    asked = contenders("demo", ["ft", "r_adapter+wise_ft"], 1)
    own = {"r_adapter": {"hyperparameters": TASKS["demo"].own["r_adapter"]}}
    assert asked == [
        {"label": "r_adapter", "method": {"type": "r_adapter", **own}},
        "ft",
        "r_adapter+wise_ft",
    ]
    assert contenders("demo", ["ft", "wise_ft"], 1) == ["ft", "wise_ft"]


def test_all_is_every_method_with_those_settings() -> None:
    asked = contenders("demo", ["all"], 2)
    body = {"model": "base:demo", "training_file": "file-1", "n_seeds": 2}
    architecture = Architecture("transformer", "transformer")
    plan = make_plan(ComparisonRequest.model_validate({**body, "methods": asked}), architecture)
    every = make_plan(ComparisonRequest.model_validate({**body, "methods": "all"}), architecture)
    assert {each.label for each in plan} == {each.label for each in every}
    (adapter,) = [each for each in plan if each.label == "r_adapter"]
    assert adapter.method.options()["hyperparameters"] == TASKS["demo"].own["r_adapter"]


def test_stored_bases_are_of_worlds_and_load() -> None:
    stored = sorted(path.name for path in BASES.iterdir() if path.is_dir())
    assert set(stored) <= WORLDS.keys()
    for name in stored:
        clip = load_directory(BASES / name)
        assert clip.image_size == WORLDS[name].image_size
