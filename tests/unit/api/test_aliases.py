"""Aliases: made, moved, moved back, and what they keep from happening."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from core.ids import new_id
from core.records import models
from tests.api_service import Service, add_base, add_key, dataset, png
from tests.unit.api.tenants import published
from tests.unit.api.test_jobs import create

IMAGE = base64.b64encode(png()).decode()


@pytest.fixture(scope="module")
def two(service: Service) -> tuple[str, str]:
    """Ids of two fine-tuned models."""
    add_base(service.database, service.store)
    file_id = str(service.upload(dataset())["id"])
    return made(service, file_id), made(service, file_id)


def made(service: Service, file_id: str) -> str:
    """The id of a new model, which has a checkpoint."""
    return published(service, str(create(service, file_id)["id"]), with_checkpoint=True)


def point(service: Service, name: str, model: str, **more: Any) -> dict[str, Any]:
    answer = service.client.put(f"/v1/aliases/{name}", json={"model": model, **more})
    return {"status": answer.status_code, **answer.json()}


def refused(service: Service, method: str, path: str, **request: Any) -> tuple[int, str]:
    answer = service.client.request(method, path, **request)
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def name() -> str:
    return new_id("production")


def test_made_moved_and_moved_back(service: Service, two: tuple[str, str], name: str) -> None:
    first, second = two
    first_time = point(service, name, first)
    assert (first_time["status"], first_time["model"], first_time["previous_model"]) == (
        200,
        first,
        None,
    )
    assert refused(service, "POST", f"/v1/aliases/{name}/rollback") == (
        409,
        "nothing_to_roll_back_to",
    )
    assert point(service, name, first)["previous_model"] is None  # it did not move
    moved = point(service, name, second)
    assert (moved["id"], moved["model"], moved["previous_model"]) == (
        first_time["id"],
        second,
        first,
    )
    assert moved["changed_at"] >= first_time["changed_at"]
    assert moved["created_at"] == first_time["created_at"]

    back = service.client.post(f"/v1/aliases/{name}/rollback").json()
    assert (back["model"], back["previous_model"]) == (first, second)
    again = service.client.post(f"/v1/aliases/{name}/rollback").json()
    assert (again["model"], again["previous_model"]) == (second, first)
    assert service.client.get(f"/v1/aliases/{name}").json() == again
    listed = service.client.get("/v1/aliases").json()["data"]
    assert again in listed
    lines = service.client.get("/v1/audit?limit=4").json()["data"]
    assert [line["action"] for line in lines] == [
        *("alias.roll_back", "alias.roll_back", "alias.point", "alias.point"),
    ]


def test_a_retry_does_not_roll_back_twice(
    service: Service, two: tuple[str, str], name: str
) -> None:
    for model in two:
        point(service, name, model)
    key = {"idempotency-key": name}
    answers = [
        service.client.post(f"/v1/aliases/{name}/rollback", headers=key).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert service.client.get(f"/v1/aliases/{name}").json()["model"] == two[0]


def test_it_stands_wherever_a_model_may(service: Service, two: tuple[str, str], name: str) -> None:
    first, second = two
    point(service, name, first)
    assert service.client.get(f"/v1/models/{name}").json()["id"] == first
    weights = service.client.get(f"/v1/models/{name}/weights").content
    assert weights == service.client.get(f"/v1/models/{first}/weights").content
    for path, body in (
        (f"/v1/models/{name}", {"inputs": IMAGE}),
        (f"/v1/models/{name}/image-classification", {"inputs": IMAGE}),
        (f"/v1/models/{name}/embeddings", {"texts": ["a"]}),
        ("/v1/classify", {"models": ["base:tiny", name], "inputs": IMAGE}),
    ):
        assert refused(service, "POST", path, json=body) == (503, "inference_unavailable")
    file_id = str(service.upload(dataset())["id"])
    job = service.client.post(
        "/v1/fine_tuning/jobs", json={"model": name, "training_file": file_id}
    ).json()
    assert (job["model"], job["theta0"]) == (first, first)  # it stays what it was made of
    compared = service.client.post(
        "/v1/comparisons", json={"model": name, "training_file": file_id, "methods": ["ft"]}
    ).json()
    point(service, name, second)
    assert compared["model"] == first
    assert service.client.get(f"/v1/models/{name}").json()["id"] == second
    again = service.client.get(f"/v1/fine_tuning/jobs/{job['id']}").json()
    assert again["theta0"] == first
    # An alias may be made of another, and is then that one's model.
    assert point(service, f"{name}-2", name)["model"] == second


def test_only_from_where_one_thinks_it_is(
    service: Service, two: tuple[str, str], name: str
) -> None:
    first, second = two
    expected = {"expected_model": first}
    assert refused(service, "PUT", f"/v1/aliases/{name}", json={"model": second, **expected}) == (
        409,
        "alias_has_moved",
    )
    point(service, name, first)
    assert point(service, name, second, **expected)["status"] == 200
    assert point(service, name, second, **expected)["status"] == 409


def test_a_model_with_an_alias_is_kept(service: Service, two: tuple[str, str], name: str) -> None:
    file_id = str(service.upload(dataset())["id"])
    kept, other = made(service, file_id), two[0]
    point(service, name, kept)
    assert refused(service, "DELETE", f"/v1/models/{kept}") == (409, "model_has_alias")
    assert refused(service, "DELETE", f"/v1/models/{name}") == (409, "alias_is_no_model")
    point(service, name, other)
    assert service.client.delete(f"/v1/models/{kept}").status_code == 200
    assert refused(service, "POST", f"/v1/aliases/{name}/rollback") == (
        409,
        "nothing_to_roll_back_to",
    )
    assert service.client.delete(f"/v1/aliases/{name}").json() == {
        "name": name,
        "object": "alias",
        "deleted": True,
    }
    assert refused(service, "GET", f"/v1/aliases/{name}") == (404, "alias_not_found")
    assert refused(service, "GET", f"/v1/models/{name}") == (404, "model_not_found")


def test_a_checkpoint_with_an_alias_does_not_expire(
    service: Service, two: tuple[str, str], name: str
) -> None:
    kept, let_go = (f"{model}:step-1" for model in two)
    point(service, name, kept)
    time.sleep(0.01)  # older than no time at all
    with service.database.write() as session:
        expired = models.expire_checkpoints(session, 0.0)
    assert let_go in expired
    assert kept not in expired
    assert service.client.get(f"/v1/models/{name}").json()["id"] == kept


@pytest.mark.parametrize("name", ["ft:tiny::x", "base:tiny", ".hidden", "a b", "x" * 65, "ü"])
def test_names_that_are_none(service: Service, two: tuple[str, str], name: str) -> None:
    answer = service.client.put(f"/v1/aliases/{name}", json={"model": two[0]})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "alias"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "model"),
        ({"model": "ft:tiny::none"}, 404, "model"),
        ({"model": "../../etc/passwd"}, 400, "model"),
        ({"model": "base:tiny", "weight": 1}, 400, "weight"),
    ],
)
def test_bodies_that_point_nowhere(
    service: Service, two: tuple[str, str], name: str, body: dict[str, Any], status: int, param: str
) -> None:
    answer = service.client.put(f"/v1/aliases/{name}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert service.client.get(f"/v1/aliases/{name}").status_code == 404


def test_names_are_a_projects_own(service: Service, two: tuple[str, str], name: str) -> None:
    point(service, name, two[0])
    _, secret = add_key(service.database, "theirs")
    theirs = {"authorization": f"Bearer {secret}"}
    assert refused(service, "GET", f"/v1/models/{name}", headers=theirs) == (404, "model_not_found")
    body = {"model": "base:tiny"}
    made = service.client.put(f"/v1/aliases/{name}", json=body, headers=theirs).json()
    assert made["model"] == "base:tiny"
    assert service.client.get(f"/v1/aliases/{name}").json()["model"] == two[0]
    assert refused(
        service, "PUT", f"/v1/aliases/{name}", json={"model": two[0]}, headers=theirs
    ) == (404, "model_not_found")
