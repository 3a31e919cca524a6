"""Images that two models of one job answer differently."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Answer(BaseModel):
    """A model's first answer."""

    label: str
    probability: float | None = Field(
        description="Before temperature. Null where it is no finite number."
    )


class ChangedImage(BaseModel):
    """One image and both answers."""

    image: str = Field(description="Its name in the archive.")
    dataset_id: str = Field(description="The dataset whose archive that is.")
    label: str = Field(description="Its true class.")
    before: Answer
    after: Answer


class ClassChange(BaseModel):
    """Right answers of one true class, before and after."""

    label: str
    images: int
    right_before: int
    right_after: int


class ChangedPredictions(BaseModel):
    """A page of changed images, those first whose new answer is surest, and every class of the
    split."""

    object: Literal["list"] = "list"
    data: list[ChangedImage]
    has_more: bool
    total: int = Field(description="Images that changed in that way, on all pages.")
    seed: int = Field(description="The run whose models these are.")
    classes: list[ClassChange]
