"""The trainer that jobs run in gives what the official Lipsum-FT step gave."""

from pathlib import Path

import numpy as np
import pytest

from core.learning.verify import NotReferenceFile, verify

REFERENCE = Path(__file__).parents[2] / "data" / "lipsum_official.npz"


def test_production_trainer_reproduces_the_official_step() -> None:
    comparisons = {c.quantity: c for c in verify(REFERENCE)}
    assert set(comparisons) == {
        "loss",
        "cross_entropy",
        "penalty",
        "gradient_norm",
        "weight_norm",
        "learning_rate",
        "head",
        "image tower",
        "attention input biases",
    }
    assert [c for c in comparisons.values() if not c.ok] == []
    # The limits of the issue, spelt out so that nobody widens them unseen.
    assert {c.quantity: c.limit for c in comparisons.values()} == {
        "loss": 1e-4,
        "cross_entropy": 1e-4,
        "penalty": 1e-4,
        "gradient_norm": 1e-4,
        "weight_norm": 1e-4,
        "learning_rate": 1e-4,
        "head": 1e-6,
        "image tower": 1e-5,
        "attention input biases": 5e-4,
    }


@pytest.mark.parametrize(
    ("key", "quantity"),
    [
        ("step3/expected/loss", "loss"),
        ("step3/expected/w_norm", "weight_norm"),
        ("step3/expected/negative_log_likelihood", "cross_entropy"),
        ("step3/expected/feat_regularization", "penalty"),
        ("step3/expected/g_norm", "gradient_norm"),
        ("step3/expected/lr", "learning_rate"),
        ("final_head", "head"),
        ("final/visual.proj", "image tower"),
    ],
)
def test_one_expectation_changed_by_one_percent_is_refused(
    tmp_path: Path, key: str, quantity: str
) -> None:
    with np.load(REFERENCE, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays[key] = arrays[key] * 1.01
    changed = tmp_path / "changed.npz"
    np.savez(changed, **arrays)
    assert [c.quantity for c in verify(changed) if not c.ok] == [quantity]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, config=np.array("{}"))
    with pytest.raises(NotReferenceFile, match="step0/images"):
        verify(other)
