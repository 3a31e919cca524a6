"""Which task a body at a model's own address is for."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from api.dispatch import LEAST_IMAGE_TEXT, task_of
from api.task_input import TaskBody


def image(kind: str, side: int = 1, mode: str = "1") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (side, side)).save(out, kind)
    return out.getvalue()


def in_json(inputs: Any, **further: Any) -> TaskBody:
    return TaskBody(json.dumps({"inputs": inputs, **further}).encode(), "application/json")


SMALLEST = [base64.b64encode(image(kind)).decode() for kind in ("PNG", "BMP", "JPEG", "TIFF")]


@pytest.mark.parametrize("text", [*SMALLEST, base64.b64encode(image("WEBP", mode="RGB")).decode()])
def test_every_readable_image_is_classified(text: str) -> None:
    assert len(text) >= LEAST_IMAGE_TEXT
    assert task_of(in_json(text)) == "image-classification"
    assert task_of(in_json([text, text])) == "image-classification"
    assert task_of(in_json(text, parameters={"top_k": 1})) == "image-classification"
    assert task_of(TaskBody(base64.b64decode(text), "")) == "image-classification"


@pytest.mark.parametrize(
    "body",
    [
        in_json(SMALLEST[0], parameters={"candidate_labels": ["cat", "dog"]}),
        in_json({"image": SMALLEST[0], "candidateLabels": ["cat", "dog"]}),
        in_json({"image": SMALLEST[0], "candidate_labels": ["cat", "dog"]}),
    ],
)
def test_candidate_labels_are_zero_shot(body: TaskBody) -> None:
    assert task_of(body) == "zero-shot-image-classification"


@pytest.mark.parametrize(
    "inputs",
    ["bird", "a photo of a cat", "", ["bird", "a photo of a cat"], "ab " * 200, "ü" * 100],
)
def test_text_has_features(inputs: str | list[str]) -> None:
    assert task_of(in_json(inputs)) == "feature-extraction"
    assert task_of(in_json(inputs, normalize=True)) == "feature-extraction"


@pytest.mark.parametrize(
    "body",
    [
        TaskBody(b"", ""),
        TaskBody(b"{", "image/png"),
        TaskBody(b"[1]", "application/json"),
        TaskBody(b"{}", "application/json"),
        in_json(["bird", 3]),
        in_json([]),
        in_json(None, parameters=3),
        in_json("data:image/png;base64,AAAA"),
    ],
)
def test_the_rest_is_left_to_classification_to_refuse(body: TaskBody) -> None:
    assert task_of(body) == "image-classification"
