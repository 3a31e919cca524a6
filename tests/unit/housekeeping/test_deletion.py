"""What was deleted leaves the store, once nothing needs it, and never too early."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from core.housekeeping import unreferenced
from core.records import deletion, leases
from core.records.tables import DatasetVersion, File
from tests.api_service import Service, dataset
from tests.unit.api.tenants import own_one_of_everything
from tests.unit.api.test_jobs import JOBS, create, finish
from tests.unit.housekeeping.conftest import Tomorrow


def keys(service: Service, *places: str) -> set[str]:
    return {item.key for place in places for item in service.store.list(place)}


def delete(service: Service, path: str) -> None:
    assert service.client.delete(path).status_code == 200


def version_of(service: Service, file: dict[str, Any]) -> DatasetVersion:
    with service.database.read() as session:
        found = session.get(DatasetVersion, (service.project_id, file["dataset"]["version"]))
    assert found is not None
    return found


def test_a_deleted_file_goes_after_a_while(service: Service, tomorrow: Tomorrow) -> None:
    file = service.upload(b"some bytes", "user_data")
    (key,) = keys(service, "files")
    delete(service, f"/v1/files/{file['id']}")
    tomorrow.today()
    assert keys(service, "files") == {key}  # somebody may be downloading it
    tomorrow()
    assert keys(service, "files") == set()
    with service.database.read() as session:
        assert deletion.doomed(session) == []
    again = service.upload(b"some bytes", "user_data")
    assert service.client.get(f"/v1/files/{again['id']}/content").content == b"some bytes"


def test_equal_content_stays_while_a_file_has_it(service: Service, tomorrow: Tomorrow) -> None:
    first, second = (service.upload(b"some bytes", "user_data") for _ in range(2))
    delete(service, f"/v1/files/{first['id']}")
    tomorrow()
    assert service.client.get(f"/v1/files/{second['id']}/content").content == b"some bytes"
    delete(service, f"/v1/files/{second['id']}")
    tomorrow()
    assert keys(service, "files") == set()


def test_a_data_set_goes_with_its_last_file_and_comes_again(
    service: Service, tomorrow: Tomorrow
) -> None:
    data = dataset()
    files = [service.upload(data), service.upload(data, filename="again.zip")]
    version = files[0]["dataset"]["version"]
    sheet = f"/v1/datasets/{version}/contact-sheet?split=train"
    assert service.client.get(sheet).status_code == 200
    service.store.put_bytes(version_of(service, files[0]).index_key, b"index")
    delete(service, f"/v1/files/{files[0]['id']}")
    tomorrow()
    assert service.client.get(sheet).status_code == 200
    delete(service, f"/v1/files/{files[1]['id']}")
    tomorrow()
    assert keys(service, "files", "datasets") == set()
    file = service.upload(data)
    row = version_of(service, file)
    assert (row.purged_at, row.checked_at) == (None, None)
    assert service.client.get(sheet).status_code == 200
    assert create(service, file["id"])["status"] == "validating_files"


def test_what_a_job_needs_waits_for_the_job(service: Service, tomorrow: Tomorrow) -> None:
    file = service.upload(dataset())
    job = create(service, file["id"])
    before = keys(service, "files")
    delete(service, f"/v1/files/{file['id']}")
    tomorrow()
    assert keys(service, "files") == before
    assert service.client.post(f"{JOBS}/{job['id']}/pause").json()["status"] == "paused"
    tomorrow()
    assert keys(service, "files") == before
    assert service.client.post(f"{JOBS}/{job['id']}/cancel").json()["status"] == "cancelled"
    tomorrow.today()
    assert keys(service, "files") == set()


def test_a_failed_job_can_be_tried_again_for_a_week(service: Service, tomorrow: Tomorrow) -> None:
    file = service.upload(dataset())
    create(service, file["id"])
    with service.database.write() as session:
        claim = leases.claim(session, "worker", "boot", 60.0)
        assert claim is not None
        leases.fail(session, claim, "invalid_spec", "no", max_attempts=1)
    delete(service, f"/v1/files/{file['id']}")
    for _ in range(6):
        tomorrow()
        assert keys(service, "files") != set()
    tomorrow()
    tomorrow()
    assert keys(service, "files") == set()


def test_a_deleted_model_goes_and_its_results_stay(service: Service, tomorrow: Tomorrow) -> None:
    owned = own_one_of_everything(service)
    tar = {key for key in keys(service, "jobs") if key.endswith("model.tar")}
    assert len(tar) == 1
    rest = keys(service, "jobs") - tar
    delete(service, f"/v1/models/{owned.model_id}")
    tomorrow()
    assert keys(service, "jobs") == rest


def test_equal_content_is_refused_while_it_is_being_removed(
    service: Service, tomorrow: Tomorrow
) -> None:
    file = service.upload(b"some bytes", "user_data")
    delete(service, f"/v1/files/{file['id']}")
    with service.database.write() as session:
        assert deletion.doom(session, service.project_id, -1.0) == 1
        (key,) = deletion.doomed(session)
    send = {"data": {"purpose": "user_data"}, "files": {"file": ("a", b"some bytes")}}
    refused = service.client.post("/v1/files", **send)  # type: ignore[arg-type]
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "object_being_deleted"
    assert refused.headers["retry-after"]
    assert service.client.get("/v1/files").json()["data"] == []
    tomorrow.today()
    assert not service.store.exists(key)
    assert service.client.post("/v1/files", **send).status_code == 200  # type: ignore[arg-type]
    assert service.store.exists(key)


def test_no_file_ever_lacks_its_bytes(service: Service) -> None:
    """Two clients send and delete the same content while a sweeper that waits for nobody runs."""
    faults: list[str] = []
    done = threading.Event()

    def send() -> None:
        for _ in range(25):
            answer = service.client.post(
                "/v1/files", data={"purpose": "user_data"}, files={"file": ("a", b"the same")}
            )
            if answer.status_code == 503:
                continue
            file = answer.json()["id"]
            if service.client.get(f"/v1/files/{file}/content").content != b"the same":
                faults.append(file)
            delete(service, f"/v1/files/{file}")

    def sweep() -> None:
        while not done.is_set():
            with service.database.write() as session:
                deletion.doom(session, service.project_id, -1.0)
            with service.database.read() as session:
                doomed = deletion.doomed(session)
            for key in doomed:
                service.store.delete(key)
                with service.database.write() as session:
                    deletion.lift(session, key)

    sweeping = threading.Thread(target=sweep)
    clients = [threading.Thread(target=send) for _ in range(2)]
    for thread in (sweeping, *clients):
        thread.start()
    for thread in clients:
        thread.join()
    done.set()
    sweeping.join()
    assert faults == []
    with service.database.read() as session:
        swept = [row.purged_at is not None for row in session.execute(select(File)).scalars()]
    assert len(swept) >= 10 and sum(swept) >= 5


class TestUnreferenced:
    def find(self, service: Service, age: float = -1.0) -> set[str]:
        return {one.key for one in unreferenced.find(service.database, service.store, age)}

    @pytest.fixture
    def stray(self, service: Service) -> set[str]:
        """Left by processes that died before they wrote a row."""
        project = service.project_id
        found = {
            f"files/{project}/{'0' * 64}",
            f"files/proj-gone/{'0' * 64}",
            f"datasets/{project}/{'1' * 64}/index.parquet",
            "uploads/upload-gone/part",
            "jobs/ftjob-gone/attempts/1/model.tar",
        }
        for key in found:
            service.store.put_bytes(key, b"stray")
        return found

    def test_is_what_no_row_names(
        self, service: Service, stray: set[str], tomorrow: Tomorrow
    ) -> None:
        owned = own_one_of_everything(service)
        service.client.get(f"/v1/datasets/{owned.dataset_id}/contact-sheet?split=test")
        assert self.find(service) == stray
        finish(service, str(create(service, owned.file_id)["id"]))
        tomorrow()
        assert self.find(service) == stray

    def test_is_left_alone_while_it_is_young(self, service: Service, stray: set[str]) -> None:
        assert stray
        assert self.find(service, unreferenced.OLD_ENOUGH) == set()

    def test_is_removed_unless_it_was_named_meanwhile(
        self, service: Service, stray: set[str]
    ) -> None:
        file = service.upload(b"named in the meantime", "user_data")
        (named,) = keys(service, f"files/{service.project_id}") - stray
        late = unreferenced.Unreferenced(named, 1, service.project_id)
        assert not unreferenced.remove(service.database, service.store, late)
        for one in list(unreferenced.find(service.database, service.store, -1.0)):
            assert unreferenced.remove(service.database, service.store, one)
        assert keys(service, "files", "datasets", "uploads", "jobs") == {named}
        assert service.client.get(f"/v1/files/{file['id']}/content").status_code == 200
