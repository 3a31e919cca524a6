"""Keys over HTTP and what they may hand out; projects, limits, usage, the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.limits import Limits
from core.records import keys, leases, limits, workers
from core.records.clock import read_clock
from tests.api_service import Service, add_base, add_key, dataset
from tests.unit.api.test_jobs import create, finish

KEYS = "/v1/keys"
DAY = 86400


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def make_key(
    service: Service, headers: dict[str, str] | None = None, **body: Any
) -> dict[str, Any]:
    """A key that must be made."""
    asked = {"name": "made", "scopes": ["jobs:read"], **body}
    answer = service.client.post(KEYS, json=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def works(service: Service, secret: str, path: str = "/v1/fine_tuning/jobs") -> bool:
    status = service.client.get(path, headers=bearer(secret)).status_code
    assert status in (200, 401)
    return status == 200


class TestAKey:
    def test_is_shown_once(self, service: Service) -> None:
        made = make_key(service, name=" laptop ", scopes=["jobs:read", "files:read"])
        secret = made.pop("secret")
        assert works(service, secret)
        assert (made["name"], made["scopes"]) == ("laptop", ["files:read", "jobs:read"])
        assert secret.startswith(made["prefix"])
        assert (made["expires_at"], made["revoked_at"], made["last_used_at"]) == (None,) * 3
        one = service.client.get(f"{KEYS}/{made['id']}")
        listed = service.client.get(f"{KEYS}?limit=1000").json()["data"]
        assert one.json() == made
        assert made in listed
        assert secret not in one.text
        assert "secret" not in listed[0]

    def test_expires_when_it_was_said_to(self, service: Service) -> None:
        made = make_key(service, expires_in=3600)
        with service.database.read() as session:
            assert made["expires_at"] - read_clock(session) == pytest.approx(3600, abs=30)

    def test_says_when_it_was_last_used(self, service: Service) -> None:
        made = make_key(service)
        works(service, made["secret"])
        service.client.app.state.services.meter.flush()  # type: ignore[attr-defined]
        found = service.client.get(f"{KEYS}/{made['id']}").json()
        with service.database.read() as session:
            assert found["last_used_at"] == pytest.approx(read_clock(session), abs=30)

    def test_rotates_with_overlap(self, service: Service) -> None:
        made = make_key(service)
        answer = service.client.post(f"{KEYS}/{made['id']}/rotate", json={"overlap": 600})
        assert answer.status_code == 200
        new = answer.json()
        assert new["id"] == made["id"]
        assert works(service, made["secret"]) and works(service, new["secret"])
        newest = service.client.post(f"{KEYS}/{made['id']}/rotate", json={"overlap": 0}).json()
        assert not works(service, made["secret"]) and not works(service, new["secret"])
        assert works(service, newest["secret"])

    def test_is_revoked_with_every_secret(self, service: Service) -> None:
        made = make_key(service)
        new = service.client.post(f"{KEYS}/{made['id']}/rotate", json={}).json()
        answer = service.client.delete(f"{KEYS}/{made['id']}")
        assert answer.json() == {"id": made["id"], "object": "api_key", "deleted": True}
        assert not works(service, made["secret"]) and not works(service, new["secret"])
        assert service.client.get(f"{KEYS}/{made['id']}").json()["revoked_at"] is not None
        again = service.client.post(f"{KEYS}/{made['id']}/rotate", json={})
        assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"scopes": ["jobs:read"]}, "name"),
            ({"name": "", "scopes": ["jobs:read"]}, "name"),
            ({"name": "x" * 65, "scopes": ["jobs:read"]}, "name"),
            ({"name": "x"}, "scopes"),
            ({"name": "x", "scopes": []}, "scopes"),
            ({"name": "x", "scopes": ["jobs:*"]}, "scopes.0"),
            ({"name": "x", "scopes": ["jobs:read"], "expires_in": 0}, "expires_in"),
            ({"name": "x", "scopes": ["jobs:read"], "expires_at": 5}, "expires_at"),
            ({"name": "x", "scopes": ["jobs:read"], "project": "proj-none"}, "project"),
        ],
    )
    def test_is_refused_with_the_field_at_fault(
        self, service: Service, body: dict[str, Any], param: str
    ) -> None:
        answer = service.client.post(KEYS, json=body)
        assert answer.status_code == (404 if param == "project" else 400)
        assert answer.json()["error"]["param"] == param

    @pytest.mark.parametrize("overlap", [-1, 31 * DAY, "soon"])
    def test_overlaps_within_bounds(self, service: Service, overlap: Any) -> None:
        made = make_key(service)
        answer = service.client.post(f"{KEYS}/{made['id']}/rotate", json={"overlap": overlap})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "overlap")
        assert works(service, made["secret"])


class TestAKeyHandsOutNoMoreThanItHas:
    @pytest.fixture
    def manager(self, service: Service) -> dict[str, str]:
        """A key that manages keys and reads jobs."""
        return bearer(add_key(service.database, "default", ["keys", "jobs:read"])[1])

    def test_its_scopes(self, service: Service, manager: dict[str, str]) -> None:
        make_key(service, manager, scopes=["jobs:read"])
        for more in (["jobs:write"], ["admin"], ["jobs:read", "models:infer"]):
            body = {"name": "x", "scopes": more}
            answer = service.client.post(KEYS, json=body, headers=manager)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (
                403,
                "missing_scope",
                "scopes",
            )
            assert more[-1] in error["message"]

    def test_secrets_of_keys_that_may_more(self, service: Service, manager: dict[str, str]) -> None:
        """A new secret of an admin's key would make its maker an admin."""
        strong = make_key(service, scopes=["admin"])
        weak = make_key(service, scopes=["jobs:read"])
        for method, path in (("POST", "/rotate"), ("DELETE", "")):
            for key, status in ((strong, 403), (weak, 200)):
                answer = service.client.request(
                    method, f"{KEYS}/{key['id']}{path}", json={}, headers=manager
                )
                assert answer.status_code == status
        assert works(service, strong["secret"])

    def test_its_life(self, service: Service) -> None:
        with service.database.read() as session:
            soon = read_clock(session) + 3600
        _, secret = add_key(service.database, "default", ["keys"], expires_at=soon)
        longer = {"name": "x", "scopes": ["keys"], "expires_in": 2 * 3600}
        answer = service.client.post(KEYS, json=longer, headers=bearer(secret))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "outlives_its_maker")
        for body in ({}, {"expires_in": 60}):
            made = make_key(service, bearer(secret), scopes=["keys"], **body)
            assert made["expires_at"] <= soon

    def test_its_project(self, service: Service, manager: dict[str, str]) -> None:
        other, _ = add_key(service.database, "elsewhere")
        for project in (other, "proj-none"):  # the two answers are the same
            answers = [
                service.client.post(
                    KEYS,
                    json={"name": "x", "scopes": ["jobs:read"], "project": project},
                    headers=manager,
                ),
                service.client.get(f"{KEYS}?project={project}", headers=manager),
            ]
            for answer in answers:
                error = answer.json()["error"]
                assert (answer.status_code, error["param"]) == (403, "project")

    def test_its_limits_are_an_operators_to_set(
        self, service: Service, manager: dict[str, str]
    ) -> None:
        made = make_key(service, manager)
        answer = service.client.put(f"{KEYS}/{made['id']}/limits", json={}, headers=manager)
        assert answer.status_code == 403


class TestAnOperator:
    def test_lets_a_stranger_in(self, service: Service) -> None:
        project = service.client.post("/v1/projects", json={"name": "birds"}).json()
        limited = {"requests_per_minute": 600, "stored_bytes": 10**9}
        answer = service.client.put(f"/v1/projects/{project['id']}/limits", json=limited)
        assert answer.json()["limits"] == {
            **limited,
            "concurrent_jobs": None,
            "device_seconds_per_month": None,
            "running_jobs": None,
        }
        key = make_key(service, scopes=["files:read", "files:write"], project=project["id"])
        assert key["project"] == project["id"]
        listed = service.client.get(f"{KEYS}?project={project['id']}").json()["data"]
        assert [row["id"] for row in listed] == [key["id"]]
        assert works(service, key["secret"], "/v1/files")
        assert project["id"] in service.client.get("/v1/projects?limit=1000").text
        assert service.client.get(f"/v1/projects/{project['id']}").json()["name"] == "birds"
        again = service.client.post("/v1/projects", json={"name": "birds"})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "project_exists")

    def test_limits_how_many_jobs_of_a_project_run(self, service: Service) -> None:
        project = service.client.post("/v1/projects", json={"name": "modest"}).json()["id"]
        answer = service.client.put(f"/v1/projects/{project}/limits", json={"running_jobs": 2})
        assert answer.json()["limits"]["running_jobs"] == 2
        key = make_key(service, project=project)
        refused = service.client.put(f"{KEYS}/{key['id']}/limits", json={"running_jobs": 2})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "running_jobs")

    def test_sees_the_workers(self, service: Service) -> None:
        with service.database.write() as session:
            workers.say(session, "host-1", "boot", 2, "gpu-mem=80g region=eu")
        (found,) = service.client.get("/v1/workers").json()["data"]
        assert found["id"] == "host-1"
        assert (found["slots"], found["jobs"]) == (2, [])
        assert found["labels"] == ["gpu-mem=80g", "region=eu"]

    @pytest.mark.parametrize("number", [True, "5", 5.5, -1])
    def test_sets_limits_in_whole_numbers(self, service: Service, number: Any) -> None:
        key = make_key(service)
        limit = {"device_seconds_per_month": number}
        answer = service.client.put(f"{KEYS}/{key['id']}/limits", json=limit)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, "device_seconds_per_month")

    @pytest.mark.parametrize("name", ["", " ", "\x0b", "\u3000", "\x1c", "\ufeff"])
    def test_names_nothing_invisibly(self, service: Service, name: str) -> None:
        answer = service.client.post("/v1/projects", json={"name": name})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")

    def test_sees_who_changed_what(self, service: Service) -> None:
        project = service.client.post("/v1/projects", json={"name": "audited"}).json()["id"]
        key = make_key(service, name="theirs", scopes=["audit:read"], project=project)
        service.client.put(f"{KEYS}/{key['id']}/limits", json={"concurrent_jobs": 1})
        ours = service.client.get(f"/v1/audit?project={project}&order=asc").json()
        theirs = service.client.get("/v1/audit?order=asc", headers=bearer(key["secret"])).json()
        assert ours == theirs
        lines = ours["data"]
        assert [line["action"] for line in lines] == ["project.create", "key.create", "key.limit"]
        assert [line["object_id"] for line in lines] == [project, key["id"], key["id"]]
        assert lines[1]["details"] == '{"name": "theirs", "scopes": ["audit:read"]}'
        assert lines[2]["details"] == '{"concurrent_jobs": 1}'
        assert {line["address"] for line in lines} == {"testclient"}
        assert key["secret"] not in str(lines)
        first = service.client.get(f"/v1/audit?project={project}&order=asc&limit=2").json()
        rest = service.client.get(
            f"/v1/audit?project={project}&order=asc&after={first['last_id']}"
        ).json()
        assert first["data"] + rest["data"] == lines

    def test_sees_what_each_key_used(self, fresh: Service) -> None:
        add_base(fresh.database, fresh.store)
        _, secret = add_key(fresh.database, "default", ["files:write", "jobs:write"])
        data = dataset()
        file = fresh.client.post(
            "/v1/files",
            data={"purpose": "fine-tune"},
            files={"file": ("a.zip", data)},
            headers=bearer(secret),
        ).json()
        body = {"model": "base:tiny", "training_file": file["id"]}
        job = fresh.client.post("/v1/fine_tuning/jobs", json=body, headers=bearer(secret)).json()
        finish(fresh, job["id"])
        fresh.client.app.state.services.meter.flush()  # type: ignore[attr-defined]
        used = fresh.client.get("/v1/usage").json()
        with fresh.database.read() as session:
            key = keys.list_keys(session, fresh.project_id).items[0]
        (theirs,) = [each for each in used["keys"] if each["key"] == key.id]
        assert (theirs["requests"], theirs["jobs"]) == (2, 1)
        assert theirs["stored_bytes"] == used["stored_bytes"] > len(data)
        assert theirs["device_seconds"] >= 0
        assert used["project"] == fresh.project_id
        past = fresh.client.get("/v1/usage?month=2020-02").json()
        assert (past["requests"], past["jobs"], past["month"]) == (0, 0, "2020-02")
        wrong = fresh.client.get("/v1/usage?month=July")
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "month")


class TestAQuota:
    """429 that says not to try again, before anything was made or stored."""

    def refused(self, answer: Any, param: str) -> None:
        assert answer.status_code == 429, answer.text
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("insufficient_quota", param)

    def limit(self, service: Service, **wanted: int) -> None:
        with service.database.write() as session:
            limits.put(session, service.project_id, service.project_id, Limits(**wanted))

    def test_of_jobs(self, fresh: Service) -> None:
        add_base(fresh.database, fresh.store)
        file_id = fresh.upload(dataset())["id"]
        self.limit(fresh, concurrent_jobs=1)
        job = create(fresh, file_id)
        body = {"model": "base:tiny", "training_file": file_id}
        self.refused(fresh.client.post("/v1/fine_tuning/jobs", json=body), "concurrent_jobs")
        several = {**body, "methods": ["ft", "lipsum_ft"]}
        self.refused(fresh.client.post("/v1/comparisons", json=several), "concurrent_jobs")
        assert len(fresh.client.get("/v1/fine_tuning/jobs").json()["data"]) == 1
        fresh.client.post(f"/v1/fine_tuning/jobs/{job['id']}/cancel")
        create(fresh, file_id)

    def test_of_jobs_that_are_tried_again(self, fresh: Service) -> None:
        add_base(fresh.database, fresh.store)
        file_id = fresh.upload(dataset())["id"]
        failed = create(fresh, file_id)["id"]
        with fresh.database.write() as session:
            held = leases.claim(session, "worker", "boot", 60.0)
            assert held is not None
            leases.fail(session, held, "storage_error", "no", max_attempts=1)
        self.limit(fresh, concurrent_jobs=1)
        other = create(fresh, file_id)["id"]
        retry = f"/v1/fine_tuning/jobs/{failed}/retry"
        self.refused(fresh.client.post(retry), "concurrent_jobs")
        assert fresh.client.get(f"/v1/fine_tuning/jobs/{failed}").json()["status"] == "failed"
        fresh.client.post(f"/v1/fine_tuning/jobs/{other}/cancel")
        assert fresh.client.post(retry).status_code == 200

    def test_of_bytes(self, fresh: Service) -> None:
        self.limit(fresh, stored_bytes=1000)
        fresh.upload(bytes(600), "user_data", "a.bin")
        before = fresh.leftovers()
        more = {"data": {"purpose": "user_data"}, "files": {"file": ("b.bin", bytes([1]) * 600)}}
        self.refused(fresh.client.post("/v1/files", **more), "stored_bytes")
        assert fresh.leftovers() == before
        again = fresh.upload(bytes(600), "user_data", "a.bin")  # equal content costs nothing
        fresh.upload(bytes(400), "user_data", "c.bin")
        self.refused(fresh.client.post("/v1/files", **more), "stored_bytes")
        for file in fresh.client.get("/v1/files").json()["data"]:
            fresh.client.delete(f"/v1/files/{file['id']}")
        assert again["id"] not in fresh.client.get("/v1/files").text
        assert fresh.client.post("/v1/files", **more).status_code == 200

    def test_of_device_seconds(self, fresh: Service) -> None:
        add_base(fresh.database, fresh.store)
        file_id = fresh.upload(dataset())["id"]
        self.limit(fresh, device_seconds_per_month=0)
        body = {"model": "base:tiny", "training_file": file_id}
        answer = fresh.client.post("/v1/fine_tuning/jobs", json=body)
        self.refused(answer, "device_seconds_per_month")
