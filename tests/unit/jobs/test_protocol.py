"""Which figures of a job were touched by selection, worked out from its specification."""

from __future__ import annotations

from typing import Any

from core.jobs.protocol import protocol_of
from core.jobs.spec import JobSpec, ModelReference, SplitReference
from core.learning.named_average import NamedAverage
from tests.service_builders import specification


def splits(*names: str, marked: tuple[str, ...] = ()) -> list[SplitReference]:
    return [
        SplitReference(name=name, version="v1", archive_split=name, selection=name in marked)
        for name in names
    ]


def model(name: str, **values: Any) -> ModelReference:
    return ModelReference(id=name, object_key=f"{name}.tar", sha256=name, size=1, **values)


def spec(**changes: Any) -> JobSpec:
    return specification(**{"splits": splits("train", "test", "night"), **changes})


def test_without_a_mark_selection_touches_nothing() -> None:
    found = protocol_of(spec(averages={"shifted": ["night"]}))
    assert found.averages == (NamedAverage("shifted", ("night",)),)
    assert not found.touched("fine_tuned", "night")
    assert not found.touched("zero_shot", "val")
    assert found.split_label("night") == "night"
    assert found.id_split == "test"


def test_a_marked_split_touches_its_figures_and_all_of_what_it_chose() -> None:
    found = protocol_of(spec(splits=splits("train", "test", "night", marked=("night",))))
    assert found.touched("zero_shot", "night")
    assert not found.touched("zero_shot", "test")
    assert found.touched("fine_tuned", "test")
    assert found.touched("wise_ft@0.5", "val")
    assert found.split_label("night") == "night (selection)"
    assert found.model_label("fine_tuned") == "fine_tuned (selected on night)"
    assert found.average_label(NamedAverage("shifted", ("night", "test"))) == "shifted (selection)"
    assert found.average_label(NamedAverage("id", ("test",))) == "id"


def test_built_in_shifts_of_a_marked_test_are_touched_as_it_is() -> None:
    found = protocol_of(spec(splits=splits("train", "test", marked=("test",))))
    assert found.touched("zero_shot", "corruption.fog.3")
    assert not protocol_of(spec()).touched("zero_shot", "corruption.fog.3")


def test_an_evaluation_chooses_nothing() -> None:
    scored = spec(
        method="evaluate",
        inputs=[model("ft:a", selected_on=["dusk"]), model("ft:b")],
        splits=splits("train", "night", marked=("night",)),
    )
    found = protocol_of(scored)
    assert found.touched("ft:a", "val")
    assert found.touched("ft:b", "night")
    assert not found.touched("ft:b", "val")
    assert found.chosen("ft:a") == ("dusk",)


def test_what_chose_a_parent_stays_with_its_children() -> None:
    child = spec(
        theta0=model("ft:parent", selected_on=["dusk"]),
        splits=splits("train", "test", "night", marked=("night",)),
    )
    found = protocol_of(child)
    assert found.chosen("zero_shot") == ("dusk",)
    assert found.chosen("fine_tuned") == ("dusk", "night")
    merged = spec(method="wise_ft", inputs=[model("ft:a", selected_on=["dusk"])])
    assert protocol_of(merged).chosen("wise_ft@0.5") == ("dusk",)
    assert protocol_of(merged).chosen("zero_shot") == ()


def test_the_id_split_is_test_then_val() -> None:
    assert spec().id_split == "test"
    assert spec(splits=splits("train", "night")).id_split == "val"
    assert spec(splits=splits("val", "night")).id_split == "val"
    assert spec(splits=splits("night", "dusk")).id_split is None
