"""Hugging Face's task inputs, with two additions: several images at once, and `templates`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from core.datasets.class_names import (
    MAX_READABLE_NAME_CHARACTERS,
    MAX_TEMPLATE_CHARACTERS,
    MAX_TEMPLATES,
)
from core.prediction import Function

DEFAULT_TEMPLATE = "This is a photo of {}."

Label = Annotated[str, StringConstraints(min_length=1, max_length=MAX_READABLE_NAME_CHARACTERS)]
Template = Annotated[
    str, StringConstraints(pattern=r"^[^{}]*\{\}[^{}]*$", max_length=MAX_TEMPLATE_CHARACTERS)
]


# What `api.task_input` holds requests to, in sentences of its own.
Base64 = Annotated[
    str,
    Field(
        json_schema_extra={
            "minLength": 1,
            "pattern": "^(data:[^,]*,)?([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        }
    ),
]
Labels = Annotated[list[Label], Field(json_schema_extra={"minItems": 2, "uniqueItems": True})]
Images = Annotated[list[Base64], Field(json_schema_extra={"minItems": 1})]
_ONE_KIND_OF_TEMPLATE: JsonDict = {
    "not": {
        "required": ["templates", "hypothesis_template"],
        "properties": {
            "templates": {"type": "array"},
            "hypothesis_template": {"type": "string"},
        },
    }
}


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class LabelParameters(_Closed):
    """What is asked of the image. Labels ask the text tower; without them, the trained head."""

    model_config = ConfigDict(json_schema_extra=_ONE_KIND_OF_TEMPLATE)

    candidate_labels: Labels | None = None
    hypothesis_template: Template | None = Field(
        None, description=f"A text with one {{}} for the label. Default: {DEFAULT_TEMPLATE!r}"
    )
    templates: list[Template] | None = Field(
        None,
        min_length=1,
        max_length=MAX_TEMPLATES,
        description="Several texts, whose features are averaged. Ours.",
    )
    top_k: int | None = Field(None, ge=1, description="Only the best labels. Default: all.")


class Parameters(LabelParameters):
    """The same, and what becomes of the logits."""

    function_to_apply: Function | None = Field(None, description="Default: softmax.")


class LabelledImage(_Closed):
    """An image and its labels in one object, as huggingface.js sends it."""

    image: Base64
    candidate_labels: Labels | None = Field(None, alias="candidateLabels")


class TaskRequest(_Closed):
    """A task's JSON body. Images are base64, with or without a `data:` prefix."""

    inputs: Base64 | LabelledImage | Images
    parameters: Parameters = Field(default_factory=Parameters)
    options: dict[str, Any] | None = Field(None, description="Accepted and ignored.")


_LABELS_SOMEWHERE: JsonDict = {  # said by the route in a sentence of its own
    "anyOf": [
        {
            "required": ["parameters"],
            "properties": {
                "parameters": {
                    "required": ["candidate_labels"],
                    "properties": {"candidate_labels": {"type": "array"}},
                }
            },
        },
        {
            "properties": {
                "inputs": {
                    "type": "object",
                    "required": ["candidateLabels"],
                    "properties": {"candidateLabels": {"type": "array"}},
                }
            }
        },
    ]
}


class ZeroShotRequest(TaskRequest):
    """A task whose labels are in the request: in `parameters`, or beside the image."""

    model_config = ConfigDict(json_schema_extra=_LABELS_SOMEWHERE)
