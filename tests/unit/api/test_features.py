"""The feature routes up to the inference process, which does not run here."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.api_service import Service, add_base, png

IMAGE = base64.b64encode(png()).decode()


@pytest.fixture
def model(service: Service) -> str:
    return f"/v1/models/{add_base(service.database, service.store)}"


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": "a cat"},
        {"inputs": ["a cat", ""]},
        {"inputs": "a cat", "normalize": True, "truncate": True, "truncation_direction": "right"},
        {"inputs": "a cat", "parameters": {"normalize": True}, "options": {"wait": 1}},
    ],
)
def test_shapes_that_are_understood(service: Service, model: str, body: dict[str, Any]) -> None:
    for path in (f"{model}/feature-extraction", model):
        answer = service.client.post(path, json=body)
        assert answer.json()["error"]["code"] == "inference_unavailable"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": 3}, "inputs"),
        ({"inputs": "a cat", "normalize": False}, "normalize"),
        ({"inputs": "a cat", "dimensions": 64}, "dimensions"),
        ({"inputs": "a cat", "prompt_name": "query"}, "prompt_name"),
        ({"inputs": "a cat", "truncation_direction": "left"}, "truncation_direction"),
        ({"inputs": "a cat", "encoding_format": "base64"}, "encoding_format"),
        ({"inputs": "a" * 10_001}, "inputs"),
        ({"inputs": ["a"] * 1_001}, "inputs"),
    ],
)
def test_what_would_change_the_features_is_refused_by_name(
    service: Service, model: str, body: dict[str, Any], param: str
) -> None:
    answer = service.client.post(f"{model}/feature-extraction", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_field", "texts"),
        ({"texts": [], "images": []}, "missing_field", "texts"),
        ({"images": ["https://x.org/a.png"]}, "invalid_base64", "images.0"),
        ({"images": [IMAGE] * 65}, "too_many_images", "inputs"),
        ({"images": [""]}, "empty_image", "inputs"),
        ({"text": ["a"]}, "invalid_request", "text"),
    ],
)
def test_refused_embeddings(
    service: Service, model: str, body: dict[str, Any], code: str, param: str
) -> None:
    answer = service.client.post(f"{model}/embeddings", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


def test_embeddings_of_texts_and_images_are_understood(service: Service, model: str) -> None:
    answer = service.client.post(f"{model}/embeddings", json={"texts": ["a"], "images": [IMAGE]})
    assert answer.json()["error"]["code"] == "inference_unavailable"


def test_a_model_that_nobody_has(service: Service) -> None:
    for path in ("/v1/models/nobody", "/v1/models/nobody/feature-extraction"):
        answer = service.client.post(path, json={"inputs": "a cat"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
