"""CSV and Markdown: the same numbers as the document, and no name that acts."""

import csv
import io
from pathlib import Path

import pytest

from core.learning.comparison.markdown import accuracy_markdown, change_markdown
from core.learning.comparison.sheets import changes_csv, claims_csv, results_csv
from core.learning.comparison.tables import (
    calibration_table,
    claim_table,
    cost_table,
    loss_table,
    main_table,
    metric_table,
    seed_table,
)
from core.learning.comparison.wording import duration, listed, p_value, points
from tests.unit.learning.comparison.conftest import FT, World
from tests.unit.learning.comparison.jobs import compared


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_results_csv_has_the_mean_and_every_seed(world: World) -> None:
    rows = rows_of(results_csv(world.comparison))
    sketch = [
        row
        for row in rows
        if (row["contender"], row["split"], row["metric"]) == ("ft", "sketch", "accuracy")
    ]
    assert [row["seed"] for row in sketch] == ["", "0", "1", "2"]
    assert [float(row["value"]) for row in sketch[1:]] == [seed["sketch"] for seed in FT]
    assert float(sketch[0]["value"]) == pytest.approx(0.525)
    assert float(sketch[0]["sd"]) == pytest.approx(0.025)
    assert {row["kind"] for row in rows} == {"id", "shifted", "corruption", "average"}
    averages = {row["split"] for row in rows if row["kind"] == "average"}
    assert averages == {"mean over shifted splits", "mean over corruptions"}
    assert {row["contender"] for row in rows} == {
        "zero_shot",
        "ft",
        "lipsum_ft",
        "lipsum_ft+wise_ft",
    }


def test_claims_and_changes_csv_hold_every_test(world: World) -> None:
    findings = world.comparison.findings
    claims = rows_of(claims_csv(world.comparison))
    assert [float(row["p_holm"]) for row in claims] == [c.p_holm for c in findings.claims]
    assert [row["against"] for row in claims] == [c.against for c in findings.claims]
    changes = rows_of(changes_csv(world.comparison))
    assert len(changes) == 3 * 5 * 3
    first = findings.contenders[0].changes[0]
    assert float(changes[0]["difference"]) == first.by_seed[0].difference


def test_a_name_that_a_spreadsheet_would_run_is_quoted(tmp_path: Path) -> None:
    formula = '=HYPERLINK("evil","click")'
    splits = {"test": 0.8, "@SUM(A1)": 0.6}
    comparison = compared(tmp_path, {"-ft": [splits]}, splits, n=60, labels={"-ft": formula})
    for row in rows_of(results_csv(comparison)):
        assert not any(cell.startswith(("=", "@")) for cell in row.values())
        assert float(row["value"]) >= 0
    labels = {row["label"] for row in rows_of(results_csv(comparison))}
    assert labels == {"zero-shot", f"'{formula}"}
    assert {row["contender"] for row in rows_of(changes_csv(comparison))} == {"'-ft"}


def test_markdown_tells_the_table_the_verdict_and_the_losses(world: World) -> None:
    accuracy = accuracy_markdown(world.comparison)
    lines = accuracy.splitlines()
    assert lines[0] == (
        "|  | rank | test (ID) | mean shift | mean corruption | painting | sketch | seeds |"
    )
    assert lines[2].startswith("| zero-shot |  | 75.0 | 67.5 | 55.0 | 70.0 | 65.0 | 1 |")
    assert lines[3].startswith("| **Lipsum-FT** | 1 | 85.8 ± 1.4 |")
    assert "Take Lipsum-FT: 68.8 % in the mean over 2 shifted splits" in accuracy
    assert "commit 0123456789ab, 2026-11-30, 2 cores, x86\\_64, no GPU." in accuracy
    changes = change_markdown(world.comparison)
    (ft,) = [line for line in changes.splitlines() if line.startswith("| FT |")]
    cells = [cell.strip() for cell in ft.split("|")[2:-1]]
    assert [cell.split()[0] for cell in cells] == ["+10.0", "-7.5", "-12.5"]
    assert "FT on 2 of 2, worst on sketch (-12.5)" in changes


def test_the_row_to_take_is_zero_shots_where_nothing_is_better(tmp_path: Path) -> None:
    better, worse = {"test": 0.8, "night": 0.7}, {"test": 0.7, "night": 0.6}
    comparison = compared(tmp_path, {"ft": [worse]}, better, n=60)
    assert main_table(comparison).taken == 0
    assert "| **zero-shot** |" in accuracy_markdown(comparison)


def test_markdown_shows_names_as_they_are(tmp_path: Path) -> None:
    splits = {"test": 0.8, "a|b": 0.6}
    comparison = compared(
        tmp_path, {"ft": [splits]}, splits, n=60, labels={"ft": "<b>*x*</b>\n| y"}
    )
    for text in (accuracy_markdown(comparison), change_markdown(comparison)):
        assert "\\<b\\>\\*x\\*\\</b\\> \\| y" in text
        table = [line for line in text.splitlines() if line.startswith("|")]
        widths = {line.replace("\\|", "").count("|") for line in table}
        assert len(widths) == 1
        assert "a\\|b" in table[0]


def test_losses_are_listed_worst_first(world: World) -> None:
    rows = loss_table(world.comparison.findings).rows
    values = [float(row[2]) for row in rows]
    assert values == sorted(values)
    assert all(value <= 0 for value in values)
    assert rows[0][:4] == ("FT", "sketch", "-12.5", "3 of 3")
    assert not any(row[1].startswith("corruption") for row in rows)


def test_claims_show_interval_and_star(world: World) -> None:
    table = claim_table(world.comparison.findings, "zero_shot")
    assert table.header[:4] == ("", "mean shift", "95 % interval", "p (Holm)")
    by_name = {row[0]: row[1:] for row in table.rows}
    assert by_name["FT"][0] == "-10.0"
    assert by_name["FT"][2].endswith("*")
    assert by_name["FT"][-1] == "3"
    claim = world.comparison.findings.claim("ft", "zero_shot", "shifted")
    assert claim is not None
    assert by_name["FT"][1] == f"{points(claim.low)} to {points(claim.high)}"


def test_metrics_have_columns_for_id_and_shifts(world: World) -> None:
    findings = world.comparison.findings
    calibration = calibration_table(findings)
    assert calibration.header[1:4] == ("ECE, ID", "ECE, mean shift", "ECE, mean corruption")
    others = metric_table(findings)
    assert "macro-F1 %, ID" in others.header
    assert not any("accuracy" in cell for cell in others.header)
    rows = [
        r for r in world.ft.rows if (r.model, r.split, r.metric) == ("fine_tuned", "test", "ece")
    ]
    mean = sum(row.value for row in rows) / 3
    (ft,) = [row for row in calibration.rows if row[0] == "FT"]
    assert ft[1].startswith(f"{mean:.3f} ± ")


def test_costs_are_broken_down_and_unknown_ones_said(world: World, tmp_path: Path) -> None:
    rows = {row[0]: row[1:] for row in cost_table(world.comparison.findings).rows}
    assert rows["Lipsum-FT + WiSE-FT"] == (
        "Lipsum-FT 5.0 min + lipsum_ft+wise_ft 30.0 s",
        "5.5 min",
        "110 s",
        "1.83",
    )
    assert rows["FT"][1:] == ("3.0 min", "60.0 s", "1.00")
    contender = world.comparison.findings.contenders[0].model_copy(update={"costs": ()})
    findings = world.comparison.findings.model_copy(update={"contenders": (contender,)})
    ranking = findings.ranking.model_copy(update={"within": ("ft",), "outside": ()})
    assert cost_table(findings.model_copy(update={"ranking": ranking})).rows == (
        ("FT", "", "unknown", "", ""),
    )


def test_every_seed_has_a_row(world: World) -> None:
    table = seed_table(world.comparison.findings)
    assert [row[:2] for row in table.rows if row[0] == "FT"] == [("FT", str(s)) for s in range(3)]
    (row,) = [row for row in table.rows if row[:2] == ("FT", "1")]
    assert row[2:] == ("87.5", "56.2", "47.5", "62.5", "50.0")


def test_words_for_numbers() -> None:
    assert [duration(s) for s in (0.04, 9, 119, 150, 7199, 7200, 400_000)] == [
        "0.0 s", "9.0 s", "119 s", "2.5 min", "120 min", "2.0 h", "111 h",
    ]  # fmt: skip
    assert [points(d) for d in (0.0123, -0.0004, 0.0004, -0.05)] == ["+1.2", "0.0", "0.0", "-5.0"]
    assert [p_value(p) for p in (0.0004, 0.05, 1.0)] == ["< 0.001", "0.050", "1.000"]
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
