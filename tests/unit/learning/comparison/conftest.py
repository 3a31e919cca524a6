"""One field of contenders on disk, for all tests that only read it."""

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.learning.comparison.contender import Source
from core.learning.comparison.document import Comparison, Cost
from core.learning.comparison.findings import compare
from core.learning.comparison.write import write_comparison
from tests.unit.learning.comparison.jobs import PROVENANCE, Job, source

N = 120
SPLITS = ("val", "test", "painting", "sketch", "corruption.fog.1", "corruption.fog.3")
ZERO_SHOT = dict(zip(SPLITS, (0.8, 0.75, 0.7, 0.65, 0.6, 0.5), strict=True))
# Exact shares of 120 images, seed by seed.
FT = [
    dict(zip(SPLITS, (0.9, 0.850, 0.600, 0.550, 0.500, 0.400), strict=True)),
    dict(zip(SPLITS, (0.9, 0.875, 0.625, 0.500, 0.525, 0.425), strict=True)),
    dict(zip(SPLITS, (0.9, 0.825, 0.650, 0.525, 0.475, 0.450), strict=True)),
]
LIPSUM = [
    dict(zip(SPLITS, (0.9, 0.850, 0.725, 0.650, 0.600, 0.500), strict=True)),
    dict(zip(SPLITS, (0.9, 0.875, 0.700, 0.675, 0.625, 0.525), strict=True)),
    dict(zip(SPLITS, (0.9, 0.850, 0.750, 0.625, 0.575, 0.475), strict=True)),
]


@dataclass(frozen=True)
class World:
    """The files of two training jobs, and what is made of them."""

    ft: Job
    lipsum: Job
    sources: list[Source]
    comparison: Comparison

    def right(self, job: Job, model: str, split: str) -> np.ndarray:
        """Right or wrong (S, N), sorted by key, read without any help of the code under test."""
        rows = pq.read_table(job.directory / "predictions.parquet").to_pylist()
        rows = [row for row in rows if (row["model"], row["split"]) == (model, split)]
        return np.array(
            [
                [
                    row["top_labels"][0] == row["label"]
                    for row in sorted(rows, key=lambda row: row["key"])
                    if row["seed"] == seed
                ]
                for seed in sorted({row["seed"] for row in rows})
            ]
        )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("comparison")
    jobs = {}
    for name, seeds in {"ft": FT, "lipsum_ft": LIPSUM}.items():
        job = jobs[name] = Job(root / name)
        job.add("zero_shot", 0, ZERO_SHOT, n=N)
        for seed, accuracies in enumerate(seeds):
            for alpha in (0.25, 0.5):
                middle = {s: (1 - alpha) * ZERO_SHOT[s] + alpha * accuracies[s] for s in SPLITS}
                job.add(f"wise_ft@{alpha:g}", seed, middle, n=N)
            job.add("fine_tuned", seed, accuracies, n=N, shuffled=name == "lipsum_ft")
        job.write()
    training = Cost(what="Lipsum-FT", seconds=300.0)
    sources = [
        source("ft", [jobs["ft"].files()], label="FT", seconds=180.0),
        source("lipsum_ft", [jobs["lipsum_ft"].files()], label="Lipsum-FT", seconds=300.0),
        source(
            "lipsum_ft+wise_ft",
            [jobs["lipsum_ft"].files("wise_ft@0.5")],
            label="Lipsum-FT + WiSE-FT",
            seconds=30.0,
            parent=[training],
        ),
    ]
    return World(jobs["ft"], jobs["lipsum_ft"], sources, compare(sources, PROVENANCE))


@pytest.fixture(scope="session")
def written(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of the comparison, by name."""
    paths = write_comparison(world.comparison, tmp_path_factory.mktemp("written"))
    return {path.name: path.read_bytes() for path in paths}
