"""What the API costs, measured beside what it is to be compared with; one table of it all.

    make bench-api
    python -m benchmarks.api --only create_job list_jobs
    python -m benchmarks.api --small

The whole takes about ten minutes and 20 GB of the temporary directory's disk. Other work on the
machine makes figures worse, ratios less so: what is compared is measured in turns.
"""

from __future__ import annotations

from benchmarks import create_job, list_jobs, start, uploads, watchers
from benchmarks.figures import figures
from benchmarks.suite import Part, run

PARTS = {
    "start": Part(start.measure, {"repeats": 7}, {"repeats": 1}),
    "create_job": Part(create_job.measure, {"rounds": 1000}, {"rounds": 10}),
    "watchers": Part(
        watchers.measure,
        {"watchers": 1000, "jobs": (10, 1), "events": 60},
        {"watchers": 20, "jobs": (10, 1), "events": 10},
    ),
    "uploads": Part(
        uploads.measure,
        {"repeats": {256: 4, 1024: 3, 4096: 2}},  # of each size in MiB
        {"repeats": {16: 1, 32: 1}},
    ),
    "list_jobs": Part(
        list_jobs.measure,
        {"sizes": (1_000, 100_000, 1_000_000), "rounds": 500},
        {"sizes": (200, 1_000), "rounds": 10},
    ),
}


if __name__ == "__main__":
    run("make bench-api", __doc__.splitlines()[0], PARTS, figures)
