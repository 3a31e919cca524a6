"""A few faults over a few jobs, as `make chaos` does it with hundreds; and the schedule itself."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.__main__ import torment
from tests.chaos.faults import KINDS
from tests.chaos.schedule import AIMS, schedule
from tests.chaos.specs import BY_NAME


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own, which the database's user cannot enter."""
    made = Path(tempfile.mkdtemp(prefix="lipsum-chaos-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.timeout(1500)
def test_jobs_end_once_and_alike_whatever_dies(folder: Path) -> None:
    specs = [BY_NAME["lipsum_ft"], BY_NAME["wise_ft"]]
    # So many faults, not so many minutes: how far jobs come in a minute is the machine's affair.
    found = torment(folder, seed=3, faults=10, jobs=3, minutes=10, enough=5, specs=specs)
    assert found.ended
    assert {check.name: check.broken for check in found.checks if check.broken} == {}
    assert len(found.run.struck) >= 5


def test_a_schedule_is_its_seed_and_aims_at_everything() -> None:
    planned = schedule(0, 210)
    assert planned == schedule(0, 210) != schedule(1, 210)
    assert set(Counter(one.kind for one in planned)) == set(KINDS)
    aimed = Counter(one.aim for one in planned)
    assert set(aimed) == set(AIMS)
    assert min(aimed.values()) >= 10
    assert all(one.aim in KINDS[one.kind].aims for one in planned)
