"""What is made of measurements: percentiles, and whether a target was met."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.figures import figures
from benchmarks.timing import in_turns, percentile


@pytest.mark.parametrize(
    ("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1), (0.5, 1), (99.5, 100)]
)
def test_a_percentile_is_one_of_the_values(percent: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_turns_are_taken_and_the_first_do_not_count() -> None:
    made: list[str] = []
    seconds = in_turns({"a": lambda: made.append("a"), "b": lambda: made.append("b")}, 20)
    assert made == ["a", "b"] * 22
    assert [len(times) for times in seconds.values()] == [20, 20]


@pytest.mark.parametrize(("largest", "met"), [(0.02, True), (0.021, False)])
def test_a_list_may_take_twice_as_long(largest: float, met: bool) -> None:
    seconds = {"1000": {"p50": 0.005, "p99": 0.01}, "100": {"p50": 9.0, "p99": 9.0}}
    seconds["5000"] = {"p50": 0.005, "p99": largest}
    part = {"sizes": [1000, 5000], "rounds": 1, "seconds": {"sqlite": {"newest": seconds}}}
    (line,) = figures({"list_jobs": part})
    assert (line.what, line.met) == ("list 20 of 5 000, newest, SQLite, p99", met)


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, []),
        ({"push_seconds": 1.5}, ["lipsum push"]),
        ({"post_seconds": 1.5}, ["one request"]),
        ({"post_api_bytes": 100_000_001}, ["memory the API adds"]),
        ({"push_client_bytes": 50_000_001}, ["memory lipsum push adds"]),
    ],
)
def test_uploads_have_four_targets(changed: dict[str, Any], missed: list[str]) -> None:
    row = {"bytes": 1 << 28, "copy_seconds": 1.0, "push_seconds": 1.4, "post_seconds": 1.4}
    row |= {"push_api_bytes": 1, "post_api_bytes": 1, "push_client_bytes": 1, **changed}
    lines = figures({"uploads": {"repeats": 1, "rows": [row]}})
    assert [line.what for line in lines if not line.met] == [
        f"upload 256 MiB, {name}" for name in missed
    ]
