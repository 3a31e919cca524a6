"""Several models side by side, up to the inference process, which does not run here."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.api_service import Service, add_base, png
from tests.unit.api.test_inference import mixture

__all__ = ["mixture"]

IMAGE = base64.b64encode(png()).decode()
LABELS = {"candidate_labels": ["cat", "dog"]}
BASE = "base:tiny"
TWO = [BASE, "base:other"]


@pytest.fixture(scope="module", autouse=True)
def bases(service: Service) -> None:
    for name in ("tiny", "other"):
        add_base(service.database, service.store, name)


def asked(service: Service, **request: Any) -> tuple[int, str, str | None]:
    answer = service.client.post("/v1/classify", **request)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


@pytest.mark.parametrize(
    "body",
    [
        {"models": TWO, "inputs": IMAGE, "parameters": LABELS},
        {"models": [BASE], "inputs": [IMAGE, IMAGE], "parameters": LABELS},
        {"models": TWO, "inputs": IMAGE, "parameters": {**LABELS, "false_alarm_rate": 0.01}},
        {"models": TWO, "inputs": IMAGE, "parameters": {**LABELS, "templates": ["a {}"]}},
    ],
)
def test_shapes_that_are_understood(service: Service, body: dict[str, Any]) -> None:
    assert asked(service, json=body) == (503, "inference_unavailable", None)


def test_a_mixture_beside_a_base(service: Service, mixture: str) -> None:
    models = [BASE, mixture.removeprefix("/v1/models/")]
    body = {"models": models, "inputs": IMAGE}
    assert asked(service, json=body) == (503, "inference_unavailable", None)
    code = "mixture_has_own_classes"
    assert asked(service, json={**body, "parameters": LABELS})[:2] == (400, code)


def test_an_image_as_the_body(service: Service, mixture: str) -> None:
    models = [("model", BASE), ("model", mixture.removeprefix("/v1/models/"))]
    for headers in ({}, {"content-type": "image/png"}):
        found = asked(service, content=png(), params=models, headers=headers)
        assert found == (503, "inference_unavailable", None)
    assert asked(service, content=png(), params=models[:1]) == (400, "no_head", "models")
    assert asked(service, content=png()) == (400, "wrong_number_of_models", "model")
    both = {"models": TWO, "inputs": IMAGE, "parameters": LABELS}
    assert asked(service, json=both, params=models) == (400, "models_in_two_places", "model")


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"models": []}, "invalid_request", "models"),
        ({"models": [f"base:{n}" for n in range(9)]}, "invalid_request", "models"),
        ({"models": [BASE, BASE]}, "repeated_model", "models"),
        ({"models": BASE}, "invalid_request", "models"),
        ({"models": [BASE, "x" * 97]}, "invalid_request", "models.1"),
        ({"inputs": "https://x.org/a.png"}, "invalid_base64", "inputs"),
        ({"inputs": [IMAGE, "?"]}, "invalid_base64", "inputs.1"),
        ({"inputs": []}, "too_many_images", "inputs"),
        ({"inputs": ""}, "empty_image", "inputs"),
        ({"parameters": {}}, "no_head", "models"),
        ({"parameters": {"candidate_labels": ["cat"]}}, "wrong_number_of_labels", None),
        (
            {"parameters": {**LABELS, "false_alarm_rate": 0.0}},
            "invalid_request",
            "parameters.false_alarm_rate",
        ),
        (
            {"parameters": {**LABELS, "function_to_apply": "none"}},
            "invalid_request",
            "parameters.function_to_apply",
        ),
    ],
)
def test_bad_requests(
    service: Service, change: dict[str, Any], code: str, param: str | None
) -> None:
    body = {"models": TWO, "inputs": IMAGE, "parameters": LABELS, **change}
    found = asked(service, json=body)
    assert found[:2] == (400, code)
    assert param is None or found[2] == param


def test_nobody_else_is_asked_for(service: Service) -> None:
    body = {"models": [BASE, "ft:tiny::none"], "inputs": IMAGE, "parameters": LABELS}
    assert asked(service, json=body) == (404, "model_not_found", "models")
