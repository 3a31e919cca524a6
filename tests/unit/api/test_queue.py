"""What a job asks of the queue, and what it is told of its place there."""

from __future__ import annotations

from typing import Any

import pytest

from core.records import workers
from tests.api_service import Service, add_base, dataset
from tests.unit.api.test_jobs import JOBS, create


def test_queue_positions_count_from_the_next(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    file = str(fresh.upload(dataset())["id"])
    made = [create(fresh, file) for _ in range(3)]
    assert [job["queue_position"] for job in made] == [0, 1, 2]
    listed = fresh.client.get(JOBS, params={"order": "asc"}).json()["data"]
    assert [job["queue_position"] for job in listed] == [0, 1, 2]
    assert [job["results"] for job in listed] == [None] * 3


def test_a_job_says_what_it_asks_of_the_queue(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    file = str(fresh.upload(dataset())["id"])
    low = create(fresh, file)
    asked = {"priority": 7, "requires": ["region=eu", "gpu-mem>=40g"]}
    high = create(fresh, file, **asked)
    assert (high["priority"], high["requires"]) == (7, ["gpu-mem>=40g", "region=eu"])
    assert (low["priority"], low["requires"], low["queue_position"]) == (0, [], 0)
    assert high["queue_position"] == 0
    assert fresh.client.get(f"{JOBS}/{low['id']}").json()["queue_position"] == 1
    assert fresh.client.get(f"{JOBS}/{high['id']}/spec").json().items() >= asked.items()


def test_estimated_starts_need_a_worker_that_fits(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    file = str(fresh.upload(dataset())["id"])
    assert create(fresh, file)["estimated_start"] is None
    with fresh.database.write() as session:
        workers.say(session, "one", "boot", 2, "gpu-mem=24g")
    plain, large = create(fresh, file), create(fresh, file, requires=["gpu-mem>=40g"])
    assert plain["estimated_start"] == pytest.approx(plain["created_at"], abs=5)
    assert large["estimated_start"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("priority", 101), ("priority", "high"), ("requires", ["gpu mem"]), ("requires", ["a>=b"])],
)
def test_what_a_queue_cannot_be_asked(service: Service, field: str, value: Any) -> None:
    body = {"model": "base:tiny", "training_file": "file-x", field: value}
    answer = service.client.post(JOBS, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].split(".")[0] == field
