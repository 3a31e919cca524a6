"""Plots of docs are stale when what they show has changed, and only then."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from core.learning.comparison.contender import Source
from core.learning.comparison.document import Comparison
from core.learning.comparison.findings import compare
from docs.plots import stale_plots
from tests.unit.learning.comparison.jobs import PROVENANCE, Job


def small(directory: Path, accuracy: float) -> Comparison:
    job = Job(directory)
    job.add("zero_shot", 0, {"test": 0.6, "sketch": 0.6})
    job.add("fine_tuned", 0, {"test": 0.8, "sketch": accuracy})
    job.write()
    source = Source("ft", "FT", "Fine-tuning", "Nobody, 2026", (job.files(),))
    return compare([source], PROVENANCE)


def test_drawn_once_and_again_when_a_number_changes(tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    folder.mkdir()
    one = small(tmp_path / "one", 0.50)
    missing = stale_plots(one, folder, "x", write=False)
    assert {"x-plane.png", "x-splits.png"} <= set(missing)
    assert list(folder.iterdir()) == []
    assert stale_plots(one, folder, "x", write=True) == missing
    assert sorted(path.name for path in folder.iterdir()) == sorted(missing)
    with Image.open(folder / "x-plane.png") as image:
        assert image.width > 600
    assert stale_plots(one, folder, "x", write=False) == []

    other = small(tmp_path / "other", 0.55)
    assert "x-plane.png" in stale_plots(other, folder, "x", write=False)
