"""Built-in shifts, baselines and averages: what a request may ask for, and what it becomes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from core.errors import InvalidSpec
from core.jobs.evaluation import Evaluation, require_free_name, resolve_evaluation
from core.jobs.request import EvaluationRequest
from core.learning.shifts import CORRUPTIONS, shift_name

SPLITS = ("train", "test", "night", "sketch")
LINE = [[0.4, 0.2], [0.5, 0.3], [0.7, 0.5]]


def resolved(splits: tuple[str, ...] = SPLITS, **fields: Any) -> Evaluation:
    return resolve_evaluation(EvaluationRequest.model_validate(fields), splits)


def refused(splits: tuple[str, ...] = SPLITS, **fields: Any) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as caught:
        resolved(splits, **fields)
    assert len(caught.value.message) < 700
    return caught.value


def test_nothing_asked_is_the_average_of_the_users_shifts() -> None:
    assert resolved() == Evaluation([], {"shifted": ["night", "sketch"]})
    assert resolved(("train", "test")) == Evaluation([], {})


def test_shorthands_stand_for_their_members_once_and_in_order() -> None:
    found = resolved(corruptions=["corruption.fog.2", "corruption.weather.2", "corruption.snow.1"])
    assert found.corruptions == [
        *("corruption.snow.1", "corruption.snow.2", "corruption.frost.2"),
        *("corruption.fog.2", "corruption.brightness.2"),
    ]
    assert found.averages["corruptions"] == found.corruptions
    everything = resolved(corruptions=["corruption.all.3"]).corruptions
    assert everything == [shift_name(name, 3) for name in CORRUPTIONS]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("corruption.smog.3", "gaussian_noise, shot_noise"),
        ("corruption.smog.3", "families noise, blur, weather, digital; or all"),
        ("corruption.fog.6", "severity of 1, 2, 3, 4, 5"),
        ("corruption.fog", "corruption.NAME.SEVERITY"),
        ("corruption.fog.", "corruption.NAME.SEVERITY"),
        ("corruption..3", "unknown corruption ''"),
        ("corruption.fog.03", "corruption.NAME.SEVERITY"),
        ("fog.3", "'fog.3' names no built-in shift"),
        ("all", "'all' names no built-in shift"),
        ("", "'' names no built-in shift"),
        ("corruption.\x00.3", "'\\x00'"),
        ("corruption.__class__.3", "unknown corruption"),
    ],
)
def test_unknown_shifts_are_refused_with_the_choices(name: str, words: str) -> None:
    error = refused(corruptions=["corruption.fog.1", name])
    assert (error.code, error.param) == ("unknown_corruption", "evaluation.corruptions.1")
    assert words in error.message


@pytest.mark.parametrize(
    ("splits", "fine"),
    [
        (("test", "night"), True),
        (("train", "night"), True),  # val is cut from train
        (("val", "night"), True),
        (("clipart", "sketch"), False),
    ],
)
def test_shifts_need_an_id_split_to_be_made_of(splits: tuple[str, ...], fine: bool) -> None:
    if fine:
        assert resolved(splits, corruptions=["corruption.fog.1"]).corruptions
        return
    error = refused(splits, corruptions=["corruption.fog.1"])
    assert (error.code, error.param) == ("no_id_split", "evaluation.corruptions")
    assert "clipart, sketch" in error.message
    baselines = {"sketch": LINE}
    assert refused(splits, baselines=baselines).code == "no_id_split"


def test_baselines_of_shifted_and_built_in_splits() -> None:
    resolved(baselines={"night": LINE})
    resolved(baselines={"corruption.fog.1": LINE}, corruptions=["corruption.fog.1"])


@pytest.mark.parametrize(
    ("baselines", "code", "words"),
    [
        ({"day": LINE}, "unknown_split", "night, sketch"),
        ({"test": LINE}, "unknown_split", "night, sketch"),
        ({"train": LINE}, "unknown_split", "night, sketch"),
        ({"corruption.fog.1": LINE}, "unknown_split", "night, sketch"),
        ({"night": LINE[:2]}, "insufficient_baselines", "at least 3"),
        ({"night": []}, "insufficient_baselines", "found 0"),
        ({"night": [[0.6, 0.1], [0.62, 0.2], [0.69, 0.3]]}, "insufficient_baselines", "9.0 points"),
        ({"night": [*LINE, [76.5, 0.5]]}, "invalid_baselines", "76.5 % is 0.765"),
        ({"night": [*LINE, [0.5, -0.1]]}, "invalid_baselines", "not -0.1"),
        ({"night": [*LINE, [math.nan, 0.5]]}, "invalid_baselines", "not nan"),
        ({"night": [*LINE, [0.5, math.inf]]}, "invalid_baselines", "not inf"),
    ],
)
def test_baselines_refused(baselines: dict[str, Any], code: str, words: str) -> None:
    error = refused(baselines=baselines)
    assert (error.code, error.param) == (code, f"evaluation.baselines.{next(iter(baselines))}")
    assert words in error.message


def test_averages_name_scored_splits() -> None:
    found = resolved(
        averages={"dark": ["night", "corruption.fog.1"], "id": ["val", "test"]},
        corruptions=["corruption.fog.1"],
    )
    assert found.averages == {
        "shifted": ["night", "sketch"],
        "corruptions": ["corruption.fog.1"],
        "dark": ["night", "corruption.fog.1"],
        "id": ["val", "test"],  # val will be cut from train
    }
    assert resolved(averages={"shifted": ["night"]}).averages == {"shifted": ["night"]}


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        (["night", "day"], "unknown_split", "'day'"),
        (["train"], "unknown_split", "it scores test, night, sketch, val"),
        (["corruption.fog.1"], "unknown_split", "'corruption.fog.1'"),
        ([], "invalid_average", "names no split"),
        (["night", "night"], "invalid_average", "'night' twice"),
    ],
)
def test_averages_refused(members: list[str], code: str, words: str) -> None:
    error = refused(averages={"mine": members})
    assert (error.code, error.param) == (code, "evaluation.averages.mine")
    assert words in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {"corruptions": "corruption.all.3"},
        {"corruptions": ["corruption.fog.1"] * 76},
        {"corruptions": ["c" * 65]},
        {"baselines": {"night": [[0.5]]}},
        {"baselines": {"night": [[0.5, 0.5, 0.5]]}},
        {"baselines": {"a/b": LINE}},
        {"baselines": {f"s{number}": LINE for number in range(65)}},
        {"averages": {"a b": ["night"]}},
        {"averages": {"a|b\n": ["night"]}},
        {"averages": {"mine": "night"}},
        {"averages": {"mine": ["../night"]}},
        {"averages": {f"a{number}": ["night"] for number in range(33)}},
        {"corruption": ["corruption.fog.1"]},
    ],
)
def test_what_has_another_shape_is_no_request(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvaluationRequest.model_validate(fields)


@pytest.mark.parametrize("name", ["corruption.fog.3", "corruption.", "corruption.mine"])
def test_a_users_split_is_not_named_like_a_built_in_one(name: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        require_free_name(name, "evaluation.splits.0.name")
    assert (caught.value.code, caught.value.param) == ("reserved_split", "evaluation.splits.0.name")
    assert "evaluation.corruptions" in caught.value.message


@pytest.mark.parametrize("name", ["corruption", "corruptions.a", "my.corruption.fog.3"])
def test_other_names_are_free(name: str) -> None:
    require_free_name(name, "training_file")
