"""Estimates and specifications over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api_service import Service, add_base, add_key, dataset

JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture(scope="module")
def body(service: Service) -> dict[str, Any]:
    add_base(service.database, service.store)
    file = service.upload(dataset())["id"]
    return {"model": "base:tiny", "training_file": file, "seed": 3, "metadata": {"team": "birds"}}


def test_a_specification_posted_again_is_the_same_work(
    service: Service, body: dict[str, Any]
) -> None:
    first = service.client.post(JOBS, json=body).json()
    spec = service.client.get(f"{JOBS}/{first['id']}/spec").json()
    assert spec["method"]["lipsum_ft"]["hyperparameters"]["learning_rate"] == 1e-5
    assert spec["metadata"] == {"team": "birds"}
    again = service.client.post(JOBS, json=spec)
    assert again.status_code == 200, again.text
    assert again.json()["id"] != first["id"]
    assert again.json()["spec_digest"] == first["spec_digest"]
    other = service.client.post(JOBS, json={**spec, "seed": 4}).json()
    assert other["spec_digest"] != first["spec_digest"]


def test_foreign_and_unknown_specifications_look_the_same(
    service: Service, body: dict[str, Any]
) -> None:
    job_id = service.client.post(JOBS, json=body).json()["id"]
    _, other = add_key(service.database, "other")
    foreign = service.client.get(
        f"{JOBS}/{job_id}/spec", headers={"authorization": f"Bearer {other}"}
    )
    never = service.client.get(f"{JOBS}/ftjob-none/spec")
    assert foreign.status_code == never.status_code == 404
    assert foreign.text.replace(job_id, "ftjob-none") == never.text


def test_an_estimate_makes_nothing_and_knows_the_digest(
    service: Service, body: dict[str, Any]
) -> None:
    before = service.client.get(JOBS, params={"limit": 1000}).json()
    found = service.client.post(f"{JOBS}:estimate", json=body).json()
    assert service.client.get(JOBS, params={"limit": 1000}).json() == before
    assert (found["valid"], found["errors"]) == (True, [])
    assert found["steps"] == {
        "value": 110,
        "basis": "counted from the specification, over all seeds",
    }
    assert found["seconds"]["value"] is None
    assert "has finished here yet" in found["seconds"]["basis"]
    assert found["stored_bytes"]["value"] > 0
    made = service.client.post(JOBS, json=body).json()
    assert found["spec_digest"] == made["spec_digest"]


def test_an_estimate_of_a_bad_request_has_every_error(
    service: Service, body: dict[str, Any]
) -> None:
    answer = service.client.post(
        f"{JOBS}:estimate",
        json={**body, "model": "base:none", "n_seeds": 99, "validation_file": "file-none"},
    )
    found = answer.json()
    assert (answer.status_code, found["valid"], found["spec_digest"]) == (200, False, None)
    assert {error["param"] for error in found["errors"]} == {"model", "n_seeds", "validation_file"}
    assert all(error["message"] and error["code"] for error in found["errors"])
    assert found["steps"] == {"value": None, "basis": "the request has errors"}


def test_an_estimate_of_no_json_is_refused(service: Service) -> None:
    answer = service.client.post(f"{JOBS}:estimate", content=b"{")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    large = service.client.post(f"{JOBS}:estimate", content=b" " * (1024 * 1024 + 1))
    assert large.status_code == 413
