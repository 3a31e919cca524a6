"""Another project's ids where they stand in no path: in bodies, in queries, behind a shared id."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api_service import Service, dataset
from tests.unit.api.tenants import THEIRS, Owned, headers, own_one_of_everything

JOBS, COMPARISONS = "/v1/fine_tuning/jobs", "/v1/comparisons"


@pytest.fixture(scope="module")
def ours(service: Service) -> Owned:
    return own_one_of_everything(service)


@pytest.fixture(scope="module")
def theirs(service: Service) -> dict[str, str]:
    """Headers of an admin of another project."""
    return headers(service, THEIRS, ["admin"])


@pytest.fixture(scope="module")
def their_file(service: Service, theirs: dict[str, str]) -> str:
    answer = service.client.post(
        "/v1/files",
        data={"purpose": "fine-tune"},
        files={"file": ("a.zip", dataset(seed=900))},
        headers=theirs,
    )
    return str(answer.json()["id"])


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "training file": (JOBS, {"training_file": "{file_id}"}),
    "validation file": (JOBS, {"validation_file": "{file_id}"}),
    "split": (JOBS, {"evaluation": {"splits": [{"name": "night", "file": "{file_id}"}]}}),
    "model": (JOBS, {"model": "{model_id}"}),
    "job to combine": (
        JOBS,
        {"method": {"type": "wise_ft", "wise_ft": {"inputs": ["{finished}"]}}},
    ),
    "model to combine": (
        JOBS,
        {"method": {"type": "wise_ft", "wise_ft": {"inputs": ["{model_id}"]}}},
    ),
    "compared file": (COMPARISONS, {"methods": ["ft"], "training_file": "{file_id}"}),
    "compared model": (COMPARISONS, {"methods": ["ft"], "model": "{model_id}"}),
}


@pytest.mark.parametrize("what", sorted(BODIES))
def test_in_a_body_they_are_ids_that_never_existed(
    service: Service, ours: Owned, theirs: dict[str, str], their_file: str, what: str
) -> None:
    path, asked = BODIES[what]
    answers = []
    for owned in (ours, ours.never_existed()):
        finished = "ftjob-" + owned.model_id.rsplit(":", 1)[1]
        ids = {**owned.ids(), "finished": finished}
        body = {"model": "base:tiny", "training_file": their_file, **_filled(asked, ids)}
        answer = service.client.post(path, json=body, headers=theirs)
        text = answer.text
        for name, own in sorted(ids.items(), key=lambda item: -len(item[1])):
            text = text.replace(own, f"<{name}>")
        answers.append((answer.status_code, text))
    assert answers[0] == answers[1]
    assert answers[0][0] == 400, answers[0][1]


@pytest.mark.parametrize(
    ("path", "which"),
    [
        ("/v1/files", "file_id"),
        (JOBS, "job_id"),
        (COMPARISONS, "comparison_id"),
        ("/v1/models", "model_id"),
        ("/v1/keys", "key_id"),
    ],
)
def test_as_a_cursor_they_mark_no_place(
    service: Service, ours: Owned, theirs: dict[str, str], path: str, which: str
) -> None:
    answers = []
    for owned in (ours, ours.never_existed()):
        own = owned.ids()[which]
        answer = service.client.get(path, params={"after": own}, headers=theirs)
        answers.append((answer.status_code, answer.text.replace(own, "<id>")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_equal_content_is_two_files(service: Service, ours: Owned, theirs: dict[str, str]) -> None:
    """Whoever has the same bytes learns nothing of another's, and deleting takes nothing away."""
    content = service.client.get(f"/v1/files/{ours.file_id}/content").content
    answer = service.client.post(
        "/v1/files",
        data={"purpose": "fine-tune"},
        files={"file": ("same.zip", content)},
        headers=theirs,
    )
    twin = answer.json()
    assert twin["id"] != ours.file_id
    assert twin["sha256"] == service.client.get(f"/v1/files/{ours.file_id}").json()["sha256"]
    assert service.client.delete(f"/v1/files/{twin['id']}", headers=theirs).status_code == 200
    assert service.client.get(f"/v1/files/{ours.file_id}/content").content == content


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**ids)
    if isinstance(value, list):
        return [_filled(item, ids) for item in value]
    if isinstance(value, dict):
        return {name: _filled(item, ids) for name, item in value.items()}
    return value
