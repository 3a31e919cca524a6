"""The API's benchmarks run, at sizes whose figures say nothing."""

from __future__ import annotations

import json

import pytest

from benchmarks.api import PARTS
from benchmarks.figures import figures


@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.parametrize("name", PARTS)
def test_a_part_measures_what_the_table_shows(name: str) -> None:
    part = PARTS[name]
    found = json.loads(json.dumps(part.measure(**part.small)))
    lines = figures({name: found})
    assert lines and all(line.measured for line in lines)
    if name == "start":
        assert found["torch_libraries"] == 0
