"""Tables, cards and the results document say what the rows say, and what selection touched."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from core.learning.effective_robustness import effective_robustness
from core.learning.named_average import NamedAverage
from core.learning.report import (
    CardFacts,
    Protocol,
    ResultRow,
    RobustnessLine,
    corruption_splits,
    model_card,
    results_document,
    shifted_splits,
)

FOG = "corruption.fog.3"
SHIFTED = NamedAverage("shifted", ("night", "dusk"))
BASELINES = [(0.2, 0.1), (0.4, 0.2), (0.5, 0.4)]


def rows_of(model: str, accuracies: dict[str, float], seed: int = 0) -> list[ResultRow]:
    found = []
    for split, accuracy in accuracies.items():
        found += [
            ResultRow(seed, model, split, "accuracy", accuracy, accuracy - 0.1, accuracy + 0.1, 50),
            ResultRow(seed, model, split, "nll", 2 - accuracy, None, None, 50),
            ResultRow(seed, model, split, "ece", accuracy / 10, None, None, 50),
            ResultRow(seed, model, split, "worst_class", accuracy / 2, None, None, 7),
        ]
    return found


ROWS = [
    *rows_of("zero_shot", {"val": 0.6, "test": 0.5, "night": 0.4, "dusk": 0.2, FOG: 0.3}),
    *rows_of("fine_tuned", {"val": 0.9, "test": 0.8, "night": 0.3, "dusk": 0.4, FOG: 0.7}),
    ResultRow(0, "zero_shot", "val", "temperature", 1.234, None, None, 50),
    ResultRow(0, "fine_tuned", "val", "temperature", 2.5, None, None, 50),
    ResultRow(0, "fine_tuned", "test", "accuracy_change", 0.3, 0.2, 0.4, 50),
    ResultRow(0, "fine_tuned", "test", "mcnemar_p_holm", 1e-7, None, None, 50),
    ResultRow(0, "fine_tuned", "night", "accuracy_change", -0.1, -0.25, 0.05, 50),
    ResultRow(0, "fine_tuned", "night", "mcnemar_p_holm", 0.25, None, None, 50),
    ResultRow(0, "fine_tuned", FOG, "accuracy_change", 0.4, 0.3, 0.5, 50),
    ResultRow(0, "fine_tuned", FOG, "mcnemar_p_holm", 0.0123, None, None, 50),
    ResultRow(0, "fine_tuned", "night", "worst_group", 0.125, None, None, 8),
    ResultRow(0, "fine_tuned", "night", "energy_gap", 3.14159, 3.0, 3.3, 50),
]


def card(rows: Sequence[ResultRow] = ROWS, **facts: object) -> str:
    values: dict[str, object] = {
        "model_id": "ft:tiny::x",
        "row_name": "fine_tuned",
        "base_id": "base:tiny",
        "method_title": "Plain fine-tuning",
        "method_citation": "Nobody",
        "hyperparameters": {"n_steps": 3},
        "seed": 0,
        "step": 2,
        "n_classes": 3,
        "class_subsets": {"night": [0, 1]},
        "created": "2026-01-01",
        "library_version": "1",
    }
    return model_card(CardFacts(**{**values, **facts}), rows)  # type: ignore[arg-type]


def lines_of(model: str) -> list[RobustnessLine]:
    accuracy = {"zero_shot": 0.45, "fine_tuned": 0.8}[model]
    return [
        RobustnessLine(0, model, "night", accuracy, effective_robustness(BASELINES, accuracy, 0.3))
    ]


def test_built_in_shifts_are_not_the_users() -> None:
    assert shifted_splits(ROWS) == ["night", "dusk"]
    assert corruption_splits(ROWS) == [FOG]


def test_a_card_shows_each_figure_once_in_its_table() -> None:
    text = card(protocol=Protocol(averages=(SHIFTED,), id_split="test"))
    lines = text.splitlines()
    assert (
        "| test | fine_tuned | 80.00 | 70.0 to 90.0 | +30.00 (20.0 to 40.0) | <0.001 | 40.0 |  "
        "| 50 |" in lines
    )
    assert (
        "| night (2 classes) | fine_tuned | 30.00 | 20.0 to 40.0 | -10.00 (-25.0 to 5.0) | 0.250 "
        "| 15.0 | 12.5 | 50 |" in lines
    )
    assert "| night (2 classes) | fine_tuned | 1.7000 | 0.0300 | 3.142 |" in lines
    assert "T, fitted on val: zero_shot 1.23, fine_tuned 2.5." in lines
    assert "| fog 3 | 30.0 | 70.0 | +40.00 (30.0 to 50.0) | 0.012 |" in lines
    assert "| shifted | fine_tuned | 35.00 | 1.6500 | 0.0350 |" in lines
    assert "- shifted: night (2 classes), dusk" in lines
    assert not any(line.startswith(f"| {FOG}") for line in lines)
    holm = "for each model, over test, night and, apart from these, over the built-in corruptions"
    assert f"corrected by Holm, {holm} (1)." in text
    assert "made of test" in text
    assert "selection" not in text


def test_a_card_without_rows_has_no_results() -> None:
    text = card([])
    assert "## Results" not in text
    assert text.startswith("---\nlibrary_name: open_clip\n")


@pytest.mark.parametrize(
    ("facts", "begins", "ends"),
    [
        ({"step": 9}, "`base:tiny` after", "seed 0, the weights of step 9, 3 classes."),
        ({"step": None}, "`base:tiny` after", "seed 0, 3 classes."),
        (
            {"step": 9, "start_id": "ft:a"},
            "`base:tiny` after",
            "begun from the weights of `ft:a`, seed 0, the weights of step 9, 3 classes.",
        ),
        ({"step": None, "inputs": ["ft:a"]}, "Method", "fine-tuned from `base:tiny`, seed 0"),
    ],
)
def test_a_card_says_what_a_model_was_made_of(
    facts: dict[str, object], begins: str, ends: str
) -> None:
    text = card([], base_id="base:tiny", n_classes=3, seed=0, method_title="Method", **facts)
    origin = text.split("\n# ")[1].split("\n\n")[1]
    assert origin.startswith(begins)
    assert ends in origin


def test_every_figure_that_selection_touched_says_so() -> None:
    protocol = Protocol(
        averages=(SHIFTED, NamedAverage("id", ("test",))),
        selection_splits=("night",),
        others_chosen_on=("night",),
        chosen_on={"zero_shot": ()},
        id_split="test",
    )
    text = card(protocol=protocol)
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    for line in tables:
        cells = [cell.strip() for cell in line.split("|")[1:3]]
        if cells[0].startswith(("night", "shifted")):
            assert "(selection)" in cells[0], line
        if cells[1].startswith("fine_tuned"):
            assert cells[1] == "fine_tuned (selected on night)", line
    assert "top-1 % | zero_shot | fine_tuned (selected on night) | change of fine_tuned" in text
    assert "It was chosen with night, which the user marked for selection" in text
    assert "night was used for selection. Its own figures" in text
    front = text.split("---")[1]
    assert '{name: "test (selected on night)", type: custom, split: "test"}' in front

    document = results_document(ROWS, protocol)
    for row in document["rows"]:
        touched = row["model"] == "fine_tuned" or row["split"] == "night"
        assert row["selection"] is touched, row
    assert document["selection"] == {
        "splits": ["night"],
        "models": {"zero_shot": [], "fine_tuned": ["night"]},
    }
    flags = {a["name"]: a["selection"] for a in document["averages"]}
    assert flags == {"shifted": True, "id": False}
    by_model = {v["model"]: v["selection"] for v in document["averages"][1]["values"]}
    assert by_model == {"zero_shot": False, "fine_tuned": True}


def test_an_inherited_choice_is_said_too() -> None:
    protocol = Protocol(others_chosen_on=("dusk",), chosen_on={"zero_shot": ("dusk",)})
    assert "dusk was used for selection in an earlier job" in card(protocol=protocol)


def test_effective_robustness_says_when_it_is_extrapolated() -> None:
    lines = [*lines_of("zero_shot"), *lines_of("fine_tuned")]
    text = card(lines=lines, protocol=Protocol(id_split="test"))
    inside, outside = (line.fit for line in lines)
    assert f"| night (2 classes) | zero_shot | {100 * inside.value:+.2f} |" in text
    assert "| 3 | yes |" in text
    assert "| 3 | no |" in text
    assert "Effective robustness of fine_tuned (seed 0) on night is extrapolated" in text
    assert "Effective robustness of zero_shot" not in text
    found = results_document(ROWS, Protocol(), lines)["effective_robustness"]
    assert [(one["model"], one["extrapolated"], one["n"]) for one in found] == [
        ("zero_shot", False, 3),
        ("fine_tuned", True, 3),
    ]
    assert found[1]["value"] == outside.value


def test_averages_are_of_what_every_member_has() -> None:
    document = results_document(ROWS, Protocol(averages=(SHIFTED,)))
    (average,) = document["averages"]
    assert average["members"] == ["night", "dusk"]
    values = {(v["model"], v["metric"]): v["value"] for v in average["values"]}
    assert values["zero_shot", "accuracy"] == pytest.approx(0.3)
    assert values["fine_tuned", "nll"] == pytest.approx(1.65)
    assert ("fine_tuned", "energy_gap") not in values  # dusk has none
    assert not any(metric.startswith("mcnemar") for _, metric in values)


def test_seeds_are_averaged_apart() -> None:
    rows = [*ROWS, *rows_of("fine_tuned", {"night": 0.5, "dusk": 0.7}, seed=1)]
    values = results_document(rows, Protocol(averages=(SHIFTED,)))["averages"][0]["values"]
    found = {v["seed"]: v["value"] for v in values if v["model"] == "fine_tuned"
             and v["metric"] == "accuracy"}  # fmt: skip
    assert found == {0: pytest.approx(0.35), 1: pytest.approx(0.6)}


def test_the_document_is_json_without_nan() -> None:
    odd = ResultRow(0, "fine_tuned", "test", "brier", math.nan, -math.inf, math.inf, 50)
    document = results_document([*ROWS, odd], Protocol(averages=(SHIFTED,)), lines_of("zero_shot"))
    json.dumps(document, allow_nan=False)
    assert (document["rows"][-1]["value"], document["rows"][-1]["low"]) == (None, None)
