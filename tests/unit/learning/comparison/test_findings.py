"""The numbers against NumPy and SciPy on the stored files, read by the test itself."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from core.learning.comparison.document import Claim, Value
from core.learning.comparison.findings import compare
from tests.unit.learning.comparison.conftest import FT, LIPSUM, ZERO_SHOT, N, World
from tests.unit.learning.comparison.jobs import PROVENANCE, Job, compared, source

SHIFTED = ("painting", "sketch")
CORRUPTED = ("corruption.fog.1", "corruption.fog.3")


def step_down(p_values: list[float]) -> list[float]:
    """Holm's correction, written out."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for place, item in enumerate(np.argsort(p_values, kind="stable")):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[item]))
        corrected[item] = least
    return corrected


def check(value: Value | None, expected: list[float]) -> None:
    assert value is not None
    assert list(value.by_seed.values()) == pytest.approx(expected)
    assert value.mean == pytest.approx(np.mean(expected))
    assert value.sd == pytest.approx(np.std(expected, ddof=1))


def test_every_split_has_mean_and_deviation_over_seeds(world: World) -> None:
    findings = world.comparison.findings
    for name, seeds in (("ft", FT), ("lipsum_ft", LIPSUM)):
        splits = findings.contender(name).figures.splits
        for split in ("test", *SHIFTED, *CORRUPTED):
            check(splits[split]["accuracy"], [of_splits[split] for of_splits in seeds])
        assert "val" not in splits
    assert {s.name: (s.kind, s.n) for s in findings.splits} == {
        "test": ("id", N),
        "painting": ("shifted", N),
        "sketch": ("shifted", N),
        "corruption.fog.1": ("corruption", N),
        "corruption.fog.3": ("corruption", N),
    }


def test_averages_list_their_members_and_corruptions_stand_apart(world: World) -> None:
    findings = world.comparison.findings
    assert [(a.scope, a.members) for a in findings.averages] == [
        ("shifted", SHIFTED),
        ("corruptions", CORRUPTED),
    ]
    figures = findings.contender("ft").figures
    for scope, members in (("shifted", SHIFTED), ("corruptions", CORRUPTED)):
        expected = [float(np.mean([seed[split] for split in members])) for seed in FT]
        check(findings.value(figures, scope), expected)
    assert findings.ranking.measure == "shifted"


def test_other_metrics_are_carried_as_the_jobs_measured_them(world: World) -> None:
    rows = [r for r in world.ft.rows if (r.model, r.split) == ("fine_tuned", "sketch")]
    found = world.comparison.findings.contender("ft").figures.splits["sketch"]
    assert found.keys() == {row.metric for row in rows} >= {"accuracy", "nll", "ece", "macro_f1"}
    for metric, value in found.items():
        check(value, [row.value for row in rows if row.metric == metric])


def test_one_seeds_interval_is_exact_and_severals_covers_seeds_and_images(world: World) -> None:
    findings = world.comparison.findings
    assert findings.zero_shot is not None
    once = findings.zero_shot.splits["test"]["accuracy"]
    right = round(ZERO_SHOT["test"] * N)
    expected = stats.beta.ppf([0.025, 0.975], [right, right + 1], [N - right + 1, N - right])
    assert (once.low, once.high) == pytest.approx(tuple(expected))

    right_SN = world.right(world.ft, "fine_tuned", "test")
    draws = np.random.default_rng(0)
    means = []
    for _ in range(4000):
        seeds, images = draws.integers(3, size=3), draws.integers(N, size=N)
        means.append(right_SN[seeds][:, images].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    found = findings.contender("ft").figures.splits["test"]["accuracy"]
    assert found.low == pytest.approx(low, abs=0.08 * (high - low))
    assert found.high == pytest.approx(high, abs=0.08 * (high - low))


def test_claims_pair_seeds_and_images(world: World) -> None:
    claim = world.comparison.findings.claim("ft", "lipsum_ft", "shifted")
    assert claim is not None
    a = [world.right(world.ft, "fine_tuned", split) for split in SHIFTED]
    b = [world.right(world.lipsum, "fine_tuned", split) for split in SHIFTED]
    change = np.mean([x.mean() - y.mean() for x, y in zip(a, b, strict=True)])
    assert claim.difference == pytest.approx(change)
    assert (claim.n_seeds, claim.n) == (3, 2 * N)
    draws = np.random.default_rng(1)
    found = []
    for _ in range(4000):
        seeds = draws.integers(3, size=3)
        parts = []
        for x, y in zip(a, b, strict=True):
            images = draws.integers(N, size=N)
            parts.append(x[seeds][:, images].mean() - y[seeds][:, images].mean())
        found.append(np.mean(parts))
    low, high = np.quantile(found, [0.025, 0.975])
    assert claim.low == pytest.approx(low, abs=0.08 * (high - low))
    assert claim.high == pytest.approx(high, abs=0.08 * (high - low))


def test_zero_shot_stands_beside_every_seed(world: World) -> None:
    claim = world.comparison.findings.claim("ft", "zero_shot", "id")
    assert claim is not None
    zero = world.right(world.ft, "zero_shot", "test")
    assert zero.shape == (1, N)
    assert claim.difference == pytest.approx(np.mean([s["test"] for s in FT]) - zero.mean())
    assert claim.n_seeds == 3


def test_claims_are_corrected_over_the_contenders_of_one_reference(world: World) -> None:
    findings = world.comparison.findings
    assert findings.ranking.within[0] == "lipsum_ft"
    groups: dict[tuple[str, str], list[Claim]] = {}
    for claim in findings.claims:
        groups.setdefault((claim.against, claim.scope), []).append(claim)
    assert {key: len(found) for key, found in groups.items()} == {
        ("lipsum_ft", "id"): 2,
        ("lipsum_ft", "shifted"): 2,
        ("ft", "id"): 2,
        ("ft", "shifted"): 2,
        ("zero_shot", "id"): 3,
        ("zero_shot", "shifted"): 3,
    }
    for found in groups.values():
        assert [c.p_holm for c in found] == pytest.approx(step_down([c.p for c in found]))


def test_changes_are_mcnemars_seed_by_seed(world: World) -> None:
    changes = {c.split: c for c in world.comparison.findings.contender("ft").changes}
    for family in (("test", *SHIFTED), CORRUPTED):
        for seed in range(3):
            p_values = []
            for split in family:
                before = world.right(world.ft, "zero_shot", split)[0]
                after = world.right(world.ft, "fine_tuned", split)[seed]
                gained, lost = int((after & ~before).sum()), int((~after & before).sum())
                p_values.append(stats.binomtest(gained, gained + lost).pvalue)
                difference = changes[split].by_seed[seed].difference
                assert difference == pytest.approx((gained - lost) / N)
            found = [changes[split].by_seed[seed].p_holm for split in family]
            assert found == pytest.approx(step_down(p_values))
    for change in changes.values():
        significant = [t for t in change.by_seed.values() if t.p_holm < 0.05]
        assert change.worse_in == sum(t.difference < 0 for t in significant)
        assert change.better_in == sum(t.difference > 0 for t in significant)
    assert changes["sketch"].difference < 0 < changes["test"].difference


def test_calibration_bins_hold_all_seeds_and_pool_the_shifted_splits(world: World) -> None:
    rows = pq.read_table(world.lipsum.directory / "predictions.parquet").to_pylist()
    figures = world.comparison.findings.contender("lipsum_ft").figures
    for scope, splits in (("id", ("test",)), ("shifted", SHIFTED), ("corruptions", CORRUPTED)):
        pooled = [r for r in rows if r["model"] == "fine_tuned" and r["split"] in splits]
        assert sum(found.n for found in figures.calibration[scope]) == len(pooled)
        for number, found in enumerate(figures.calibration[scope]):
            inside = [r for r in pooled if number < 15 * r["top_probabilities"][0] <= number + 1]
            assert found.n == len(inside)
            if inside:
                confidences = [r["top_probabilities"][0] for r in inside]
                right = [r["top_labels"][0] == r["label"] for r in inside]
                assert found.confidence == pytest.approx(np.mean(confidences))
                assert found.accuracy == pytest.approx(np.mean(right))
            else:
                assert (found.confidence, found.accuracy) == (None, None)


def test_the_alpha_curve_runs_from_zero_shot_to_fine_tuned(world: World) -> None:
    curve = world.comparison.findings.contender("ft").curve
    assert [point.alpha for point in curve] == [0.0, 0.25, 0.5, 1.0]
    assert curve[0].id.mean == pytest.approx(ZERO_SHOT["test"])
    assert curve[0].shift.mean == pytest.approx(0.675)
    assert curve[-1].shift.mean == pytest.approx(np.mean([[s[x] for x in SHIFTED] for s in FT]))
    rows = [r for r in world.ft.rows if (r.model, r.metric) == ("wise_ft@0.25", "accuracy")]
    by_seed = [
        float(np.mean([r.value for r in rows if r.seed == seed and r.split in SHIFTED]))
        for seed in range(3)
    ]
    check(curve[1].shift, by_seed)


def test_cost_counts_what_a_contender_was_made_from(world: World) -> None:
    findings = world.comparison.findings
    both = findings.contender("lipsum_ft+wise_ft")
    assert (both.seconds, both.seconds_per_seed) == (330.0, 110.0)
    assert findings.relative_cost(both) == pytest.approx(110 / 60)
    assert findings.relative_cost(findings.contender("ft")) == 1.0


def test_the_measure_ranks_within_half_a_point_of_the_best_id_accuracy(tmp_path: Path) -> None:
    # Means 0.7875 and 0.7825: half a point exactly, which is inside, though not in binary.
    best, edge = (0.78, 0.795), (0.75, 0.815)
    assert np.mean(best) - 0.005 > np.mean(edge)
    comparison = compared(
        tmp_path,
        {
            "best_id": [{"test": share, "night": 0.60} for share in best],
            "edge": [{"test": share, "night": 0.70} for share in edge],
            "robust": [{"test": 0.780, "night": 0.75}] * 2,
            "poor": [{"test": 0.700, "night": 0.50}] * 2,
        },
        {"test": 0.6, "night": 0.6},
        n=200,
    )
    ranking = comparison.findings.ranking
    assert ranking.best_id == "best_id"
    assert ranking.within == ("edge", "best_id")
    assert ranking.outside == ("robust", "poor")
    assert comparison.constants.id_tolerance == 0.005


def test_equal_contenders_rank_by_id_accuracy_then_cost(tmp_path: Path) -> None:
    same = {"test": 0.8, "night": 0.7}
    comparison = compared(
        tmp_path,
        {"dear": [same], "cheap": [same], "better_id": [{"test": 0.805, "night": 0.7}]},
        {"test": 0.6, "night": 0.6},
        n=200,
        seconds={"dear": 90.0, "cheap": 30.0},
    )
    assert comparison.findings.ranking.within == ("better_id", "cheap", "dear")


def test_without_shifted_splits_corruptions_are_the_measure_then_id(tmp_path: Path) -> None:
    corrupted = {"test": 0.8, "corruption.fog.1": 0.6, "corruption.fog.2": 0.5}
    found = compared(tmp_path / "a", {"ft": [corrupted]}, corrupted, n=60).findings
    assert found.ranking.measure == "corruptions"
    assert {c.scope for c in found.claims} == {"id", "corruptions"}
    found = compared(tmp_path / "b", {"ft": [{"test": 0.8}]}, {"test": 0.7}, n=60).findings
    assert (found.ranking.measure, found.averages) == ("id", ())
    assert {c.scope for c in found.claims} == {"id"}


def test_without_a_test_split_id_is_val_and_marked(tmp_path: Path) -> None:
    rows = {"val": 0.8, "night": 0.6, "corruption.fog.1": 0.7}
    found = compared(tmp_path, {"ft": [rows]}, rows, n=60).findings
    assert [(s.name, s.kind, s.selection) for s in found.splits] == [
        ("val", "id", True),
        ("night", "shifted", False),
        ("corruption.fog.1", "corruption", True),
    ]


def test_selection_marks_its_split_averages_with_it_and_what_it_chose(tmp_path: Path) -> None:
    rows = {"test": 0.8, "night": 0.6, "fog": 0.7}
    found = compared(tmp_path, {"ft": [rows]}, rows, n=60, selection=["fog"]).findings
    assert [(s.name, s.selection) for s in found.splits] == [
        ("test", False),
        ("night", False),
        ("fog", True),
    ]
    assert found.averages[0].selection
    assert found.contender("ft").figures.chosen_on == ("fog",)
    assert found.zero_shot is not None
    assert found.zero_shot.chosen_on == ()


def test_a_metric_that_only_some_have_is_kept_where_it_is(tmp_path: Path) -> None:
    ft, other = Job(tmp_path / "ft"), Job(tmp_path / "other")
    rows = {"test": 0.8, "night": 0.6, "fog": 0.7}
    for job in (ft, other):
        job.add("fine_tuned", 0, rows, n=60)
    first = next(r for r in ft.rows if (r.split, r.metric) == ("night", "accuracy"))
    for metric, value in (("worst_group", 0.4), ("of_tomorrow", 2.0), ("mcnemar_p", 0.01)):
        ft.rows.append(type(first)(0, "fine_tuned", "night", metric, value, None, None, 60))
    ft.rows.append(type(first)(0, "fine_tuned", "fog", "nll", float("nan"), None, None, 60))
    sources = [source("ft", [ft.files()]), source("other", [other.files()])]
    for job in (ft, other):
        job.write()
    found = compare(sources, PROVENANCE).findings
    figures = found.contender("ft").figures
    assert figures.splits["night"]["worst_group"].mean == 0.4
    assert figures.splits["night"]["of_tomorrow"].mean == 2.0
    assert "worst_group" not in figures.averages["shifted"]
    assert "mcnemar_p" not in figures.splits["night"]
    assert "worst_group" not in found.contender("other").figures.splits["night"]


def test_seeds_that_only_one_has_are_left_out_of_its_claims(tmp_path: Path) -> None:
    rows = {"test": 0.8, "night": 0.6}
    three = {"ft": [rows] * 3, "soup": [{"test": 0.8, "night": 0.65}]}
    found = compared(tmp_path, three, rows, n=100).findings
    claim = found.claim("ft", "soup", "shifted")
    assert claim is not None
    assert claim.n_seeds == 1
