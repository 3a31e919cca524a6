"""Webhooks over HTTP: made, changed, rotated, looked at, redelivered."""

from __future__ import annotations

from typing import Any

import pytest

from core.records import deliveries, jobs, webhooks
from tests import service_builders as build
from tests.api_service import Service, add_key

HOOKS = "/v1/webhooks"
URL = "https://93.184.216.34/hook"  # an address: no test asks a resolver on the internet


def create(service: Service, **fields: Any) -> dict[str, Any]:
    answer = service.client.post(HOOKS, json={"url": URL, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_secret_is_shown_once(fresh: Service) -> None:
    made = create(fresh, description="mine")
    assert made.pop("secret").startswith("whsec_")
    assert made["event_types"] == list(webhooks.EVENT_TYPES)
    assert (made["status"], made["url"]) == ("enabled", URL)
    assert fresh.client.get(f"{HOOKS}/{made['id']}").json() == made
    assert fresh.client.get(HOOKS).json()["data"] == [made]


def test_rotation_shows_another_secret_and_says_until_when_the_old_one_signs(
    fresh: Service,
) -> None:
    made = create(fresh)
    rotated = fresh.client.post(f"{HOOKS}/{made['id']}/rotate_secret").json()
    assert rotated["secret"] not in (made["secret"], None)
    assert rotated["previous_secret_until"] >= made["created_at"] + webhooks.ROTATION_SECONDS


def test_changes(fresh: Service) -> None:
    made = create(fresh, description="mine")
    path = f"{HOOKS}/{made['id']}"
    changed = fresh.client.patch(path, json={"event_types": ["fine_tuning.job.failed"]}).json()
    assert (changed["event_types"], changed["description"]) == (["fine_tuning.job.failed"], "mine")
    off = fresh.client.patch(path, json={"status": "disabled", "description": None}).json()
    assert (off["status"], off["description"]) == ("disabled", None)
    assert off["disabled_reason"] == "disabled by its owner"
    on = fresh.client.patch(path, json={"status": "enabled"}).json()
    assert (on["status"], on["disabled_reason"]) == ("enabled", None)
    refused = fresh.client.patch(path, json={"url": "https://127.0.0.1/"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "url")
    assert fresh.client.get(path).json()["url"] == URL


def test_a_deleted_one_is_gone(fresh: Service) -> None:
    made = create(fresh)
    path = f"{HOOKS}/{made['id']}"
    assert fresh.client.delete(path).json() == {
        "id": made["id"],
        "object": "webhook",
        "deleted": True,
    }
    assert fresh.client.get(path).status_code == 404
    assert fresh.client.delete(path).status_code == 404
    assert fresh.client.get(HOOKS).json()["data"] == []


def test_deliveries_and_their_attempts_can_be_read_and_sent_again(fresh: Service) -> None:
    made = create(fresh)
    job = build.job(fresh.database, fresh.project_id)
    with fresh.database.write() as session:
        jobs.request_cancel(session, fresh.project_id, job.id)
        [held] = deliveries.hold_due(session, 1)
        deliveries.record(session, held, deliveries.Outcome(0.25, 503))
    path = f"{HOOKS}/{made['id']}/deliveries"
    [item] = fresh.client.get(path).json()["data"]
    assert (item["event_type"], item["object_id"]) == ("fine_tuning.job.cancelled", job.id)
    assert item["status"] == "pending"
    assert item["next_attempt_at"] >= item["created_at"]
    [attempt] = item["attempts"]
    assert (attempt["status_code"], attempt["seconds"], attempt["error"]) == (503, 0.25, None)
    again = fresh.client.post(f"{path}/{item['id']}/redeliver").json()
    assert (again["event_id"], again["status"]) == (item["event_id"], "pending")
    with fresh.database.write() as session:
        assert [held.delivery.id for held in deliveries.hold_due(session, 1)] == [item["id"]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, "url"),
        ({"url": "https://user:secret@example.com/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": ""}, "url"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["job.exploded"]}, "event_types.0"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_refusals_name_the_field(service: Service, fields: dict[str, Any], param: str) -> None:
    answer = service.client.post(HOOKS, json={"url": URL, **fields})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("suffix", ["", "/deliveries"])
def test_unknown_and_foreign_webhooks_look_the_same(service: Service, suffix: str) -> None:
    made = create(service)
    _, other = add_key(service.database, "other")
    foreign = service.client.get(
        f"{HOOKS}/{made['id']}{suffix}", headers={"authorization": f"Bearer {other}"}
    )
    never = service.client.get(f"{HOOKS}/webhook-none{suffix}")
    assert foreign.status_code == never.status_code == 404
    assert foreign.text.replace(made["id"], "webhook-none") == never.text


def test_another_delivery_s_webhook_is_no_way_to_it(fresh: Service) -> None:
    mine, other = create(fresh), create(fresh)
    job = build.job(fresh.database, fresh.project_id)
    with fresh.database.write() as session:
        jobs.request_cancel(session, fresh.project_id, job.id)
    [item] = fresh.client.get(f"{HOOKS}/{mine['id']}/deliveries").json()["data"]
    answer = fresh.client.post(f"{HOOKS}/{other['id']}/deliveries/{item['id']}/redeliver")
    assert answer.status_code == 404
