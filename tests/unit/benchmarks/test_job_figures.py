"""What is made of measurements of jobs."""

from __future__ import annotations

import pytest

from benchmarks.job_figures import figures


@pytest.mark.parametrize(("waiting", "met"), [(0.99, True), (1.0, False)])
def test_the_first_step_is_done_within_a_second(waiting: float, met: bool) -> None:
    part = {"waiting": {"seconds": {"p50": waiting}}, "started": {"seconds": {"p50": 8.0}}}
    lines = figures({"first_step": {**part, "waiting_bytes": 6e8}})
    assert [line.met for line in lines] == [met, None, None]


@pytest.mark.parametrize(("ratio", "met"), [(1.03, True), (1.0301, False)])
def test_a_job_may_take_three_per_cent_longer(ratio: float, met: bool) -> None:
    (line,) = figures({"overhead": {"pairs": [{"job": 300.0, "direct": 295.0}], "ratio": ratio}})
    assert (line.what, line.met) == ("a job of 300 s", met)


def test_claims_and_sweeps_are_ratios() -> None:
    many = {"claims_per_second": 50.0, "p50": 0.02, "p99": 0.04}
    few = {"claims_per_second": 100.0, "p50": 0.01, "p99": 0.02}
    by_size = {"10000": many, "100": few}
    found = {"queued": [10000, 100], "workers": 50, "together": by_size, "alone": by_size}
    sweeps = {"sizes": [100, 10000], "seconds": {"sqlite": by_size}}
    measured = [line.measured for line in figures({"claims": found, "sweeps": sweeps})]
    assert measured == [
        "50 a second, 0.50 of those with 100 (100)",
        "2.00 times 100 (20.0 ms against 10.0 ms)",
        "2.00 times 100 (20.0 ms against 10.0 ms)",
        "2.00 times 100 (40.0 ms against 20.0 ms)",
    ]
