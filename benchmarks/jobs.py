"""What the service costs jobs: until the first step, over training, in the queue, when nothing is
to do; one table of it all.

    make bench-jobs
    python -m benchmarks.jobs --only claims sweeps
    python -m benchmarks.jobs --only overhead --small

The whole takes about forty minutes, most of it five-minute trainings, and wants the machine for
itself. What checkpoints cost is measured by `benchmarks.checkpoints`.
"""

from __future__ import annotations

from benchmarks import claims, first_step, overhead, sweeps
from benchmarks.job_figures import figures
from benchmarks.suite import Part, run

PARTS = {
    "first_step": Part(
        first_step.measure,
        {"tries": 7, "train_per_class": 400, "test_per_class": 80},  # as `lipsum demo` has them
        {"tries": 1, "train_per_class": 8, "test_per_class": 4},
    ),
    "overhead": Part(
        overhead.measure,
        {"seconds": 300.0, "pairs": 3, "train_per_class": 400, "test_per_class": 80},
        {"seconds": 3.0, "pairs": 1, "train_per_class": 8, "test_per_class": 4},
    ),
    "claims": Part(
        claims.measure,
        {"queued": (10_000, 100), "workers": 50, "seconds": 30.0, "rounds": 500},
        {"queued": (200, 100), "workers": 3, "seconds": 0.5, "rounds": 5},
    ),
    "sweeps": Part(
        sweeps.measure,
        {"sizes": (1_000, 100_000), "rounds": 200},
        {"sizes": (100, 200), "rounds": 3},
    ),
}

if __name__ == "__main__":
    run("make bench-jobs", "What the service costs jobs.", PARTS, figures)
