"""Many event streams on one API process, by the benchmark that measures a thousand."""

from __future__ import annotations

import pytest

from benchmarks.watchers import watch


@pytest.mark.slow
def test_every_watcher_hears_of_every_event_and_costs_little_memory() -> None:
    figures = watch(n_watchers=200, n_jobs=10, n_events=40)
    print(f"delay p99 {figures.delay_p99:.3f} s")
    assert figures.readings == 40 * 200 // 10
    assert figures.api_bytes_per_watcher < 150_000
