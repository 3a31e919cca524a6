"""A thousand event streams on one API process, by the benchmark that the docs quote."""

from __future__ import annotations

import pytest

from benchmarks.watchers import measure


@pytest.mark.slow
def test_a_thousand_watchers_hear_of_an_event_within_a_second() -> None:
    figures = measure(n_watchers=1000, n_jobs=10, n_events=40)
    assert figures.readings == 40 * 1000 // 10
    assert figures.delay_p99 < 1.0
    assert figures.api_bytes_per_watcher < 150_000
