"""Scores of a split against their definitions, written out plainly."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from core.learning.evaluation import ROWS, Scores, energy, mask_columns, score


def drawn(n: int, n_classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Logits that are right about half the time, labels and keys."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(n_classes, size=n)
    logits = draws.normal(0, 2, (n, n_classes))
    logits[np.arange(n), labels] += 2.5
    keys = [f"image-{i}" for i in range(n)]
    return torch.from_numpy(logits).float(), torch.from_numpy(labels), keys


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def naive_ece(confidence: np.ndarray, correct: np.ndarray) -> float:
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(correct[inside].mean() - confidence[inside].mean())
    return total / len(confidence)


def values(scores: Scores) -> dict[str, float]:
    return {metric.name: metric.value for metric in scores.metrics}


def test_score_gives_accuracy_nll_and_the_images_behind_them() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.1, 0.0]])
    labels = torch.tensor([0, 1, 2, 1])
    found = score(logits, labels, ["a", "b", "c", "d"], None)
    p = softmax(logits.double().numpy())
    assert found["accuracy"] == 0.75
    assert found["nll"] == pytest.approx(-np.log(p[range(4), labels]).mean(), rel=1e-12)
    metric = found.metrics[0]
    low, high = stats.beta.ppf(0.025, 3, 2), stats.beta.ppf(0.975, 4, 1)
    assert (metric.low, metric.high, metric.n) == (pytest.approx(low), pytest.approx(high), 4)
    rows = found.images.to_pylist()
    assert [row["key"] for row in rows] == ["a", "b", "c", "d"]
    assert rows[0]["top_labels"] == [0, 2, 1]
    assert rows[2]["true_probability"] == pytest.approx(p[2, 2], rel=1e-6)
    assert rows[1]["energy"] == pytest.approx(-math.log(2 + math.exp(3)), rel=1e-6)


def test_every_metric_of_a_split_larger_than_one_block() -> None:
    n, n_classes, temperature = ROWS + 301, 8, 1.7
    logits, labels, keys = drawn(n, n_classes)
    groups = [("water", "land", "air")[i % 3] for i in range(n)]
    found = score(logits, labels, keys, None, temperature=temperature, groups=groups)

    z, y = logits.double().numpy(), labels.numpy()
    p, calibrated = softmax(z), softmax(z / temperature)
    predicted = z.argmax(axis=1)
    correct = predicted == y
    recalls, f1s = [], []
    for k in range(n_classes):
        recall = correct[y == k].mean()
        precision = correct[predicted == k].mean()
        recalls.append(recall)
        f1s.append(2 * precision * recall / (precision + recall))
    by_group = [correct[np.array(groups) == g].mean() for g in set(groups)]
    top5 = [y[i] in np.argsort(-z[i])[:5] for i in range(n)]
    expected = {
        "accuracy": correct.mean(),
        "top5": np.mean(top5),
        "mean_per_class_recall": np.mean(recalls),
        "macro_f1": np.mean(f1s),
        "worst_class": min(recalls),
        "worst_group": min(by_group),
        "nll": -np.log(p[range(n), y]).mean(),
        "brier": ((p - np.eye(n_classes)[y]) ** 2).sum(axis=1).mean(),
        "ece": naive_ece(p.max(axis=1), correct),
        "nll_calibrated": -np.log(calibrated[range(n), y]).mean(),
        "ece_calibrated": naive_ece(calibrated.max(axis=1), correct),
    }
    assert values(found) == pytest.approx(expected, rel=1e-10)
    assert list(values(found)) == list(expected)
    brier = next(metric for metric in found.metrics if metric.name == "brier")
    per_image = ((p - np.eye(n_classes)[y]) ** 2).sum(axis=1)
    half = 1.959963984540054 * per_image.std(ddof=1) / math.sqrt(n)
    assert (brier.low, brier.high) == pytest.approx((brier.value - half, brier.value + half))


def test_what_is_not_given_is_not_reported() -> None:
    logits, labels, keys = drawn(20, 5)
    found = score(logits, labels, keys, None)
    assert list(values(found)) == [
        "accuracy",
        "mean_per_class_recall",
        "macro_f1",
        "worst_class",
        "nll",
        "brier",
        "ece",
    ]
    columns = ["key", "label", "top_labels", "top_probabilities", "true_probability", "energy"]
    assert found.images.column_names == columns
    grouped = score(logits, labels, keys, None, groups=["a"] * 19 + ["b"])
    assert grouped.images.column_names == [*columns, "group"]
    assert grouped.images["group"].to_pylist() == ["a"] * 19 + ["b"]


def test_top5_needs_six_candidate_classes() -> None:
    logits, labels, keys = drawn(30, 9)
    labels %= 5
    assert "top5" in values(score(logits, labels, keys, [0, 1, 2, 3, 4, 8]))
    assert "top5" not in values(score(logits, labels, keys, [0, 1, 2, 3, 4]))


def test_a_split_of_some_classes_is_scored_among_those() -> None:
    logits = torch.tensor([[9.0, 1.0, 2.0], [9.0, 3.0, 1.0]])
    labels = torch.tensor([2, 1])
    assert score(logits, labels, ["a", "b"], None)["accuracy"] == 0.0
    found = score(logits, labels, ["a", "b"], [1, 2])
    assert found["accuracy"] == 1.0
    expected = -(math.log(1 / (1 + math.exp(-1))) + math.log(1 / (1 + math.exp(-2)))) / 2
    assert found["nll"] == pytest.approx(expected, rel=1e-9)
    assert all(0 not in row["top_labels"][:2] for row in found.images.to_pylist())


def test_masked_classes_leave_no_trace_in_any_metric() -> None:
    logits, labels, keys = drawn(200, 12)
    subset = [1, 3, 4, 6, 8, 9, 11]
    labels = torch.tensor(subset)[labels % 7]
    masked = score(logits, labels, keys, subset, temperature=0.6)
    positions = torch.tensor([subset.index(int(label)) for label in labels])
    narrow = score(logits[:, subset], positions, keys, None, temperature=0.6)
    assert values(masked) == pytest.approx(values(narrow), rel=1e-12)
    assert all(math.isfinite(value) for value in values(masked).values())
    assert masked.images["energy"].to_numpy() == pytest.approx(narrow.images["energy"].to_numpy())
    expected = -np.log(np.exp(logits.double().numpy()[:, subset]).sum(axis=1))
    assert energy(mask_columns(logits.double(), subset)).numpy() == pytest.approx(expected)


def test_bounds_of_a_perfect_and_a_hopeless_score() -> None:
    logits = torch.eye(4) * 50
    right = score(logits, torch.arange(4), list("abcd"), None)
    wrong = score(logits, torch.tensor([1, 2, 3, 0]), list("abcd"), None)
    assert (right["accuracy"], right.metrics[0].high) == (1.0, 1.0)
    assert (wrong["accuracy"], wrong.metrics[0].low) == (0.0, 0.0)
    for name in ("mean_per_class_recall", "macro_f1", "worst_class"):
        assert (right[name], wrong[name]) == (1.0, 0.0)
    assert wrong["nll"] == pytest.approx(50.0)
    assert wrong["brier"] == pytest.approx(2.0)
    assert 0 <= right["brier"] < 1e-30
    assert (right["ece"], wrong["ece"]) == (pytest.approx(0.0), pytest.approx(1.0))


def test_one_image() -> None:
    logits = torch.tensor([[1.0, 0.0]])
    found = score(logits, torch.tensor([1]), ["a"], None, temperature=2.0, groups=["g"])
    p = 1 / (1 + math.e)
    assert values(found) == pytest.approx(
        {
            "accuracy": 0.0,
            "mean_per_class_recall": 0.0,
            "macro_f1": 0.0,
            "worst_class": 0.0,
            "worst_group": 0.0,
            "nll": -math.log(p),
            "brier": 2 * (1 - p) ** 2,
            "ece": 1 - p,
            "nll_calibrated": math.log(1 + math.exp(0.5)),
            "ece_calibrated": 1 / (1 + math.exp(-0.5)),
        }
    )
    nll = next(metric for metric in found.metrics if metric.name == "nll")
    assert (nll.low, nll.high, nll.n) == (None, None, 1)


def test_the_table_and_the_metrics_agree_on_tied_logits() -> None:
    found = score(torch.zeros(6, 7), torch.arange(6), list("abcdef"), None)
    first = [row["top_labels"][0] == row["label"] for row in found.images.to_pylist()]
    among = [row["label"] in row["top_labels"] for row in found.images.to_pylist()]
    assert found["accuracy"] == sum(first) / 6
    assert found["top5"] == sum(among) / 6
    assert found["nll"] == pytest.approx(math.log(7))


def test_what_cannot_be_scored_is_refused() -> None:
    logits, labels, keys = drawn(4, 3)
    labels = torch.tensor([0, 1, 2, 2])
    with pytest.raises(ValueError, match=r"2 of 4 labels are not among the 2 classes.* first is 2"):
        score(logits, labels, keys, [0, 1])
    with pytest.raises(ValueError, match="labels are not among the 3 classes"):
        score(logits, labels + 1, keys, None)
    with pytest.raises(ValueError, match="holds no image"):
        score(logits[:0], labels[:0], [], None)
    with pytest.raises(ValueError, match="3 keys for 4 images"):
        score(logits, labels, keys[:3], None)
    with pytest.raises(ValueError, match="1 groups for 4 images"):
        score(logits, labels, keys, None, groups=["a"])
    for temperature in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="must be a positive number"):
            score(logits, labels, keys, None, temperature=temperature)
