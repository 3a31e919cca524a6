"""The task routes up to the inference process, which does not run here."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.jobs.messages import StoredModel
from tests.api_service import Service, add_base, dataset, open_service, png
from tests.unit.api.test_jobs import create, finish

IMAGE = base64.b64encode(png()).decode()
LABELS = {"candidate_labels": ["cat", "dog"]}


@pytest.fixture
def model(service: Service) -> str:
    return f"/v1/models/{add_base(service.database, service.store)}"


@pytest.fixture(scope="module")
def mixture(service: Service) -> str:
    """A VRF model's row; its weights are not there."""
    add_base(service.database, service.store)
    job_id = create(service, str(service.upload(dataset())["id"]), suffix="vrf")["id"]
    model_id = f"ft:tiny:vrf:{job_id.removeprefix('ftjob-')}"
    made = StoredModel(
        id=model_id,
        kind="fine_tuned",
        object_key=f"jobs/{job_id}/attempts/1/model.tar",
        sha256="aa",
        size=1,
        members={"fine_tuned/head.safetensors": (0, 1)},
        info={"mixture": {"zero_shot": "base:tiny", "fine_tuned": "ft:tiny::one"}},
        seed=0,
    )
    finish(service, job_id, [made])
    return f"/v1/models/{model_id}"


def test_nobody_answers(service: Service, model: str) -> None:
    answer = service.client.post(
        f"{model}/zero-shot-image-classification", json={"inputs": IMAGE, "parameters": LABELS}
    )
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["error"]["code"] == "inference_unavailable"
    assert answer.json()["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"image": IMAGE, "candidateLabels": ["cat", "dog"]}},
        {"inputs": {"image": IMAGE, "candidate_labels": ["cat", "dog"]}},
        {"inputs": [IMAGE, IMAGE], "parameters": LABELS},
        {"inputs": f"data:image/png;base64,{IMAGE}", "parameters": LABELS, "options": {"x": 1}},
        {"inputs": IMAGE, "parameters": {**LABELS, "templates": ["a {}.", "the {}."]}},
    ],
)
def test_shapes_that_are_understood(service: Service, model: str, body: dict[str, Any]) -> None:
    for task in ("zero-shot-image-classification", "image-classification"):
        answer = service.client.post(f"{model}/{task}", json=body)
        assert answer.json()["error"]["code"] == "inference_unavailable"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"inputs": IMAGE}, "missing_field", "parameters.candidate_labels"),
        ({"parameters": LABELS}, "invalid_request", "inputs"),
        ({"inputs": "https://x.org/a.png", "parameters": LABELS}, "invalid_base64", "inputs"),
        ({"inputs": "", "parameters": LABELS}, "empty_image", "inputs"),
        ({"inputs": [], "parameters": LABELS}, "too_many_images", "inputs"),
        ({"inputs": [IMAGE] * 65, "parameters": LABELS}, "too_many_images", "inputs"),
        (
            {"inputs": IMAGE, "parameters": {"candidate_labels": ["cat"]}},
            "wrong_number_of_labels",
            "parameters.candidate_labels",
        ),
        (
            {"inputs": IMAGE, "parameters": {"candidate_labels": [f"{n}" for n in range(1001)]}},
            "wrong_number_of_labels",
            "parameters.candidate_labels",
        ),
        (
            {"inputs": IMAGE, "parameters": {"candidate_labels": [f"{n}" for n in range(100_000)]}},
            "too_many_values",
            None,
        ),
        (
            {"inputs": IMAGE, "parameters": {"candidate_labels": ["cat", "cat"]}},
            "invalid_request",
            "parameters.candidate_labels",
        ),
        (
            {"inputs": IMAGE, "parameters": {**LABELS, "hypothesis_template": "no slot"}},
            "invalid_request",
            "parameters.hypothesis_template",
        ),
        (
            {"inputs": IMAGE, "parameters": {**LABELS, "hypothesis_template": "{0.__class__} {}"}},
            "invalid_request",
            "parameters.hypothesis_template",
        ),
        (
            {
                "inputs": IMAGE,
                "parameters": {**LABELS, "hypothesis_template": "a {}", "templates": ["a {}"]},
            },
            "invalid_request",
            "parameters.templates",
        ),
        (
            {"inputs": IMAGE, "parameters": {**LABELS, "top_k": 0}},
            "invalid_request",
            "parameters.top_k",
        ),
        (
            {"inputs": IMAGE, "parameters": {**LABELS, "function_to_apply": "tanh"}},
            "invalid_request",
            "parameters.function_to_apply",
        ),
        (
            {"inputs": IMAGE, "parameters": {**LABELS, "threshold": 0.5}},
            "invalid_request",
            "parameters.threshold",
        ),
    ],
)
def test_refusals(
    service: Service, model: str, body: dict[str, Any], code: str, param: str
) -> None:
    answer = service.client.post(f"{model}/zero-shot-image-classification", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert error["code"] == code, error
    assert error["param"] == param, error


def test_more_texts_than_one_request_may_encode(service: Service, model: str) -> None:
    parameters = {
        "candidate_labels": [f"label {n}" for n in range(1000)],
        "templates": [f"{n} {{}}" for n in range(21)],
    }
    answer = service.client.post(
        f"{model}/zero-shot-image-classification",
        json={"inputs": IMAGE, "parameters": parameters},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_texts")


def test_a_base_has_no_classes_of_its_own(service: Service, model: str) -> None:
    answer = service.client.post(f"{model}/image-classification", content=png())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "no_head")
    assert "zero-shot-image-classification" in error["message"]


def test_an_image_alone_cannot_be_zero_shot(service: Service, model: str) -> None:
    answer = service.client.post(f"{model}/zero-shot-image-classification", content=png())
    assert answer.json()["error"]["param"] == "parameters.candidate_labels"


def test_an_unknown_model(service: Service) -> None:
    answer = service.client.post("/v1/models/base:none/image-classification", content=png())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


class TestMixtures:
    """A mixture's row is enough to say what it cannot do; nothing is asked of its weights."""

    def test_it_has_classes_of_its_own(self, service: Service, mixture: str) -> None:
        answer = service.client.post(f"{mixture}/image-classification", content=png())
        assert answer.json()["error"]["code"] == "inference_unavailable"  # it was let through
        body = {"inputs": IMAGE, "parameters": {"function_to_apply": "softmax", "top_k": 1}}
        answer = service.client.post(f"{mixture}/image-classification", json=body)
        assert answer.json()["error"]["code"] == "inference_unavailable"

    @pytest.mark.parametrize("task", ["image-classification", "zero-shot-image-classification"])
    def test_it_is_not_asked_for_others(self, service: Service, mixture: str, task: str) -> None:
        answer = service.client.post(
            f"{mixture}/{task}", json={"inputs": IMAGE, "parameters": LABELS}
        )
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "mixture_has_own_classes")
        assert error["param"] == "parameters.candidate_labels"
        assert "ask one of its members: base:tiny, ft:tiny::one" in error["message"]

    @pytest.mark.parametrize("function", ["none", "sigmoid"])
    def test_it_has_no_logits(self, service: Service, mixture: str, function: str) -> None:
        body = {"inputs": IMAGE, "parameters": {"function_to_apply": function}}
        answer = service.client.post(f"{mixture}/image-classification", json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "mixture_has_no_logits")
        assert error["param"] == "parameters.function_to_apply"


class TestSizes:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Service]:
        with open_service(tmp_path, max_image_bytes=1000) as opened:
            add_base(opened.database, opened.store)
            yield opened

    @pytest.mark.parametrize("task", ["image-classification", "zero-shot-image-classification"])
    def test_images_over_the_limit(self, small: Service, task: str) -> None:
        path = f"/v1/models/base:tiny/{task}"
        raw = small.client.post(path, content=b"x" * 1001)
        assert (raw.status_code, raw.json()["error"]["code"]) == (413, "image_too_large")
        encoded = base64.b64encode(b"x" * 1001).decode()
        in_json = small.client.post(path, json={"inputs": encoded, "parameters": LABELS})
        assert (in_json.status_code, in_json.json()["error"]["code"]) == (413, "image_too_large")
        whole = small.client.post(path, content=b"x" * 3_000_000)
        assert (whole.status_code, whole.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("kind", "code"), [("image/jpeg", "inference_unavailable"), ("text/plain", "invalid_base64")]
)
def test_a_body_that_calls_itself_an_image_is_none_of_json(
    service: Service, mixture: str, kind: str, code: str
) -> None:
    answer = service.client.post(
        f"{mixture}/image-classification",
        content=b'{"inputs": "?"}',
        headers={"content-type": kind},
    )
    assert answer.json()["error"]["code"] == code
