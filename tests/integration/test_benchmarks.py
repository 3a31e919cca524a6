"""The benchmarks run, at sizes whose figures say nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import api, inference, jobs
from benchmarks.figures import Figure, figures
from benchmarks.inference_figures import figures as inference_figures
from benchmarks.job_figures import figures as job_figures
from benchmarks.suite import Part


@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.parametrize("name", api.PARTS)
def test_a_part_measures_what_the_table_shows(name: str) -> None:
    found = _measured(api.PARTS, name, figures)
    if name == "start":
        assert found["torch_libraries"] == 0


@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", jobs.PARTS)
def test_so_does_one_of_jobs(name: str) -> None:
    _measured(jobs.PARTS, name, job_figures)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [name for name in inference.PARTS if name != "throughput"])
def test_so_does_one_of_inference(name: str) -> None:
    """Those that need no other framework."""
    _measured(inference.PARTS, name, inference_figures)


def _measured(
    parts: dict[str, Part], name: str, lines_of: Callable[[dict[str, Any]], list[Figure]]
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(parts[name].measure(**parts[name].small)))
    lines = lines_of({name: found})
    assert lines and all(line.measured for line in lines)
    return found
