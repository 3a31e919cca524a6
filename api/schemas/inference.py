"""Hugging Face's task inputs, with two additions: several images at once, and `templates`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Parameters(_Closed):
    """What is asked of the image. Labels ask the text tower; without them, the trained head."""

    candidate_labels: list[Label] | None = None
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
    function_to_apply: Function | None = Field(None, description="Default: softmax.")


class LabelledImage(_Closed):
    """An image and its labels in one object, as huggingface.js sends it."""

    image: str
    candidate_labels: list[Label] | None = Field(None, alias="candidateLabels")


class TaskRequest(_Closed):
    """A task's JSON body. Images are base64, with or without a `data:` prefix."""

    inputs: str | LabelledImage | list[str]
    parameters: Parameters = Field(default_factory=Parameters)
    options: dict[str, Any] | None = Field(None, description="Accepted and ignored.")
