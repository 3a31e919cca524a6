"""A project that is deleted leaves no byte and no row, and nothing of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from core.records import audit, leases, projects
from core.records.tables import Base, Project
from tests.api_service import Service, add_key
from tests.unit.api.tenants import own_one_of_everything
from tests.unit.housekeeping.conftest import Tomorrow


@pytest.fixture
def theirs(service: Service) -> Iterator[Service]:
    """The same service, as another project sees it."""
    project_id, key = add_key(service.database, "theirs")
    headers = {"authorization": f"Bearer {key}"}
    with as_client(service, headers) as client:
        yield Service(service.settings, service.database, service.store, project_id, key, client)


@contextmanager
def as_client(service: Service, headers: dict[str, str]) -> Iterator[TestClient]:
    client = TestClient(service.client.app, base_url=str(service.client.base_url), headers=headers)
    client.portal = service.client.portal  # one event loop, as one process has
    yield client


def rows_of(service: Service, project_id: str) -> dict[str, int]:
    """How many rows each table has of the project."""
    with service.database.read() as session:
        counts = {
            table.name: session.execute(
                select(func.count()).select_from(table).where(table.c.project_id == project_id)
            ).scalar_one()
            for table in Base.metadata.sorted_tables
            if "project_id" in table.columns
        }
    return {name: count for name, count in counts.items() if count}


def keys_of(service: Service) -> set[str]:
    places = ("files", "datasets", "uploads", "jobs")
    return {item.key for place in places for item in service.store.list(place)}


def test_every_byte_and_row_goes_and_nobody_elses(
    service: Service, theirs: Service, tomorrow: Tomorrow
) -> None:
    own_one_of_everything(service)
    keys_before = keys_of(service)
    own_one_of_everything(theirs)
    tomorrow.today()  # ends comparisons
    ours_before = rows_of(service, service.project_id)
    assert len(rows_of(service, theirs.project_id)) > 15
    assert keys_of(service) > keys_before
    answer = service.client.delete(f"/v1/projects/{theirs.project_id}")
    assert answer.json() == {"id": theirs.project_id, "object": "project", "deleted": True}
    assert theirs.client.get("/v1/files").status_code == 401
    assert service.client.get(f"/v1/projects/{theirs.project_id}").status_code == 404
    tomorrow.today()
    assert rows_of(service, theirs.project_id) == {}
    with service.database.read() as session:
        assert session.get(Project, theirs.project_id) is None
        line = audit.list_lines(session, service.project_id, limit=1).items[0]
    assert (line.action, line.object_id) == ("project.delete", theirs.project_id)
    assert keys_of(service) == keys_before
    ours = rows_of(service, service.project_id)
    assert {**ours, "audit_lines": 0} == {**ours_before, "audit_lines": 0}
    again, _ = add_key(service.database, "theirs")
    assert again != theirs.project_id  # its name is free


def test_its_running_jobs_are_stopped_first(
    service: Service, theirs: Service, tomorrow: Tomorrow
) -> None:
    own_one_of_everything(theirs)
    with service.database.write() as session:
        claim = leases.claim(session, "worker", "boot", 60.0)
        assert claim is not None and claim.project_id == theirs.project_id
    service.client.delete(f"/v1/projects/{theirs.project_id}")
    tomorrow.today()
    assert rows_of(service, theirs.project_id) != {}
    with service.database.write() as session:
        assert leases.heartbeat(session, claim, 60.0) == "cancel"
        leases.stop_cancelled(session, claim)
    tomorrow.today()
    assert rows_of(service, theirs.project_id) == {}


def test_nobody_deletes_the_ground_they_stand_on(service: Service) -> None:
    answer = service.client.delete(f"/v1/projects/{service.project_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "own_project")
    with service.database.read() as session:
        assert projects.get(session, service.project_id).deleted_at is None
