"""What `lipsum watch` prints of a finished job."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from cli.tables import results_tables


def item(model: str, split: str, metric: str, value: float | None, **more: Any) -> dict[str, Any]:
    found = {"seed": 0, "low": None, "high": None, "n": 10, "selection": False}
    return {**found, "model": model, "split": split, "metric": metric, "value": value, **more}


def printed(items: list[dict[str, Any]]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(results_tables(items))
    return console.export_text()


def row_of(text: str, model: str) -> list[list[str]]:
    """The cells of each line that begins with the model."""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    return [cells for cells in lines if cells and cells[0] == model]


def accuracies(model: str, **values: float) -> list[dict[str, Any]]:
    return [item(model, split.replace("__", "."), "accuracy", v) for split, v in values.items()]


SPLITS = {"test": 0.5, "night": 0.25, "dusk": 0.75}
FOGS = {"corruption__fog__1": 0.2, "corruption__fog__2": 0.4}


def test_built_in_shifts_are_one_column() -> None:
    text = printed([*accuracies("zero_shot", **SPLITS, **FOGS)])
    assert row_of(text, "zero_shot")[0] == ["zero_shot", "50.0", "25.0", "75.0", "50.0", "30.0"]
    assert "mean of 2 corruptions" in text
    assert "corruption.fog" not in text
    assert "McNemar" not in text


def test_significant_changes_are_starred_and_selection_is_said() -> None:
    text = printed(
        [
            *accuracies("zero_shot", **SPLITS),
            item("fine_tuned", "test", "accuracy", 0.9, selection=True),
            item("fine_tuned", "test", "mcnemar_p_holm", 0.01, selection=True),
            item("fine_tuned", "night", "accuracy", 0.2),
            item("fine_tuned", "night", "mcnemar_p_holm", 0.05),
        ]
    )
    assert row_of(text, "fine_tuned")[0][1:3] == ["90.0* (s)", "20.0"]
    assert "p below 0.05" in text
    assert row_of(text, "fine_tuned (s)") == []  # the details are of night and dusk
    assert "used for selection" in text


def test_a_star_needs_every_seed() -> None:
    items = []
    for seed, p in ((0, 0.001), (1, 0.2)):
        items.append(item("fine_tuned", "test", "accuracy", 0.8 + seed / 10, seed=seed))
        items.append(item("fine_tuned", "test", "mcnemar_p_holm", p, seed=seed))
    text = printed(items)
    assert row_of(text, "fine_tuned")[0][1] == "85.0 ± 7.1"
    assert "with every seed" in text


def test_details_are_means_over_the_shifts() -> None:
    items = [
        item(model, split, metric, value)
        for model, value in (("zero_shot", 0.5), ("fine_tuned", 1.5))
        for split in ("test", "night", "dusk")
        for metric in ("accuracy", "nll", "ece")
    ]
    items += [item("fine_tuned", split, "energy_gap", 3.5) for split in ("night", "dusk")]
    text = printed(items)
    assert "mean of night, dusk" in text
    assert row_of(text, "fine_tuned")[1] == ["fine_tuned", "1.500", "1.500", "3.50"]
    assert row_of(text, "zero_shot")[1][-1] == ""


def test_details_say_what_selection_touched() -> None:
    items = [
        item(model, "night", "nll", 1.0, selection=model == "fine_tuned")
        for model in ("zero_shot", "fine_tuned")
    ]
    text = printed(items)
    assert row_of(text, "fine_tuned (s)") == [["fine_tuned (s)", "1.000"]]
    assert ["zero_shot", "1.000"] in row_of(text, "zero_shot")


def test_a_number_that_was_not_finite_is_left_out() -> None:
    items = accuracies("zero_shot", test=0.5)
    text = printed([*items, item("zero_shot", "test", "nll", None)])
    assert row_of(text, "zero_shot")[0] == ["zero_shot", "50.0"]
