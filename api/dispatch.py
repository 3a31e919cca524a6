"""Which task a body is for, where a client posts to a model's own address.

`huggingface_hub.InferenceClient` posts to exactly the address it was given, whatever the task.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

from pydantic_core import from_json

from api.task_input import TaskBody

Task = Literal["zero-shot-image-classification", "image-classification", "feature-extraction"]

LEAST_IMAGE_TEXT = 56  # characters of base64, below any readable image; nobody writes such a word


def task_of(body: TaskBody) -> Task:
    """Candidate labels: zero-shot; an image, raw or in base64: classification; text: features.

    JSON that is none of these, or no JSON, is left to the classification route to refuse.
    """
    if not body.is_json:
        return "image-classification"
    try:
        content = from_json(body.content)
    except ValueError:
        return "image-classification"
    if not isinstance(content, dict):
        return "image-classification"
    inputs = content.get("inputs")
    if _has_labels(content.get("parameters")) or _has_labels(inputs):
        return "zero-shot-image-classification"
    texts = inputs if isinstance(inputs, list) and inputs else [inputs]
    if all(isinstance(text, str) and not _is_image(text) for text in texts):
        return "feature-extraction"
    return "image-classification"


def _has_labels(part: Any) -> bool:
    names = ("candidate_labels", "candidateLabels")
    return isinstance(part, dict) and any(part.get(name) is not None for name in names)


def _is_image(text: str) -> bool:
    if text.startswith("data:image/"):
        return True
    if len(text) < LEAST_IMAGE_TEXT:
        return False
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
