"""The sentences of each situation, from files whose answers bring it about."""

from pathlib import Path

from core.learning.comparison.document import ZERO_SHOT
from tests.unit.learning.comparison.jobs import compared

ZERO = {"test": 0.70, "night": 0.70, "fog": 0.60}


def rows(test: float, night: float, fog: float) -> dict[str, float]:
    return {"test": test, "night": night, "fog": fog}


def test_a_clear_winner(tmp_path: Path) -> None:
    comparison = compared(
        tmp_path,
        {"ft": [rows(0.80, 0.55, 0.40)] * 5, "lipsum_ft": [rows(0.80, 0.80, 0.70)] * 5},
        ZERO,
        labels={"ft": "FT", "lipsum_ft": "Lipsum-FT"},
        seconds={"ft": 300.0, "lipsum_ft": 450.0},
    )
    verdict = comparison.verdict
    assert (verdict.situation, verdict.take) == ("clear", "lipsum_ft")
    assert verdict.headline.startswith(
        "Take Lipsum-FT: 75.0 % in the mean over 2 shifted splits, +10.0 points against zero-shot ("
    )
    assert (
        "It is ahead of FT within 0.5 points of the best ID accuracy (paired bootstrap over 5 "
        "seeds and the images, Holm-corrected p < 0.001)." in verdict.headline
    )
    assert verdict.details == (
        "Lipsum-FT has the best ID accuracy, 80.0 %; it took 90.0 s a seed, 1.5 times plain "
        "fine-tuning.",
    )
    assert "made by looking at the labels of the shifted splits" in verdict.caveat


def test_what_is_not_told_apart_is_named_with_the_cheapest(tmp_path: Path) -> None:
    comparison = compared(
        tmp_path,
        {
            "a": [rows(0.80, 0.80, 0.70)] * 3,
            "b": [rows(0.80, 0.80, 0.69)] * 3,
            "c": [rows(0.80, 0.79, 0.70)] * 3,
            "far": [rows(0.80, 0.40, 0.30)] * 3,
        },
        ZERO,
        noise=1.5,
        seconds={"a": 90.0, "b": 30.0, "c": 60.0, "far": 10.0},
    )
    verdict = comparison.verdict
    assert (verdict.situation, verdict.take) == ("tie", "a")
    assert "It is not distinguishable from b and c (" in verdict.headline
    assert "over 3 seeds and the images" in verdict.headline
    assert verdict.headline.endswith("; of these b is the cheapest.")
    assert verdict.details[0] == (
        "Intervals over 3 seeds come out too narrow, and p values too small."
    )


def test_one_seed_says_that_the_noise_of_training_is_unknown(tmp_path: Path) -> None:
    comparison = compared(
        tmp_path, {"a": [rows(0.8, 0.80, 0.70)], "b": [rows(0.8, 0.60, 0.50)]}, ZERO
    )
    verdict = comparison.verdict
    assert (verdict.situation, verdict.take) == ("one_seed", "a")
    assert (
        "One seed only, so the noise of training is unknown and another seed may change the "
        "order; on these images it is ahead of b" in verdict.headline
    )


def test_nothing_beats_zero_shot(tmp_path: Path) -> None:
    both = {"ft": [rows(0.80, 0.50, 0.40)] * 2, "lipsum_ft": [rows(0.80, 0.64, 0.56)] * 2}
    verdict = compared(tmp_path / "a", both, ZERO).verdict
    assert (verdict.situation, verdict.take) == ("zero_shot_better", "lipsum_ft")
    assert verdict.headline.startswith(
        "No contender beats zero-shot in the mean over 2 shifted splits: lipsum_ft comes nearest "
        "with 60.0 % against 65.0 %. Keep zero-shot where shifted images count; for ID accuracy "
        "take lipsum_ft (+10.0 points)."
    )
    assert (
        "It is worse than zero-shot on night (-6.0, 2/2) and fog (-4.0, 0/2): in brackets points, "
        "and seeds in which the loss is significant." in verdict.details
    )
    worse = {"ft": [rows(0.70, 0.50, 0.40)] * 2}
    verdict = compared(tmp_path / "b", worse, ZERO).verdict
    assert verdict.take == ZERO_SHOT
    assert verdict.headline.startswith("Keep zero-shot. No contender beats zero-shot")


def test_a_gain_within_chance_is_called_so(tmp_path: Path) -> None:
    verdict = compared(
        tmp_path, {"ft": [rows(0.80, 0.71, 0.60)] * 2}, ZERO, noise=2.0, n=200
    ).verdict
    assert "+0.5 points against zero-shot, which may be chance (" in verdict.headline
    assert verdict.situation == "alone"
    assert "It is the only contender, and nothing is said of other methods." in verdict.headline


def test_the_better_one_outside_the_id_band_is_said(tmp_path: Path) -> None:
    comparison = compared(
        tmp_path,
        {"ft": [rows(0.80, 0.72, 0.62)] * 2, "wise": [rows(0.75, 0.85, 0.75)] * 2},
        ZERO,
        labels={"wise": "WiSE-FT"},
    )
    verdict = comparison.verdict
    assert verdict.take == "ft"
    assert "No other contender comes within 0.5 points of its ID accuracy." in verdict.headline
    assert (
        "Better on shifts but outside the ID band of 0.5 points: WiSE-FT (80.0 % in the mean over "
        "2 shifted splits, -5.0 points of ID accuracy)." in verdict.details
    )


def test_what_is_given_up_on_id_is_said(tmp_path: Path) -> None:
    comparison = compared(
        tmp_path,
        {"ft": [rows(0.800, 0.60, 0.50)], "wise": [rows(0.796, 0.80, 0.70)]},
        ZERO,
        n=250,
        labels={"ft": "FT", "wise": "WiSE-FT"},
        seconds={"ft": 7200.0, "wise": 9000.0},
    )
    assert comparison.verdict.take == "wise"
    assert comparison.verdict.details == (
        "On ID WiSE-FT has 79.6 %, -0.4 points against the best, FT; it took 2.5 h a seed, 1.2 "
        "times plain fine-tuning.",
    )


def test_without_a_shift_nothing_is_said_of_robustness(tmp_path: Path) -> None:
    verdict = compared(tmp_path, {"a": [{"test": 0.8}] * 2, "b": [{"test": 0.6}] * 2}, None).verdict
    assert verdict.situation == "no_shift"
    assert verdict.headline.startswith("Take a: 80.0 % on test (ID). No other contender comes")
    assert "says nothing of robustness" in verdict.caveat
    assert "labels of test" in verdict.caveat


def test_one_shifted_split_is_named(tmp_path: Path) -> None:
    one = {"test": 0.8, "night": 0.75}
    verdict = compared(tmp_path, {"a": [one]}, {"test": 0.7, "night": 0.7}).verdict
    assert verdict.headline.startswith("Take a: 75.0 % on the one shifted split, night, +5.0")


def test_selection_is_said_with_its_mark(tmp_path: Path) -> None:
    verdict = compared(tmp_path, {"a": [ZERO], "b": [ZERO]}, ZERO, selection=["fog"]).verdict
    assert (
        "† fog was used for selection: its figures, averages with it, and every figure of what "
        "was chosen with it (every contender) are optimistic." in verdict.details
    )
