"""Several models' answers to the same images, side by side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.inference import Base64, Images, LabelParameters
from core.prediction import Score

MAX_MODELS = 8
FALSE_ALARMS = 0.05  # as `core.learning.statistics` has it, which imports torch

ModelId = Annotated[str, Field(min_length=1, max_length=96)]
ModelIds = Annotated[
    list[ModelId],
    Field(min_length=1, max_length=MAX_MODELS, json_schema_extra={"uniqueItems": True}),
]


class ClassificationParameters(LabelParameters):
    """What is asked of the images."""

    false_alarm_rate: float = Field(
        FALSE_ALARMS,
        ge=0.001,
        le=0.5,
        description="Share of images of the training domain that may be flagged as shifted.",
    )


class ClassificationRequest(BaseModel):
    """Images are base64, with or without a `data:` prefix. Without candidate labels each model
    answers for the classes it was trained on, and a base for those of the first that has some.
    """

    model_config = ConfigDict(extra="forbid")

    models: ModelIds = Field(description="Ids; bases, fine-tuned models and mixtures alike.")
    inputs: Base64 | Images
    parameters: ClassificationParameters = Field(default_factory=ClassificationParameters)


class ShiftFlag(BaseModel):
    """Whether an image looks unlike what a model was trained on."""

    shifted: bool = Field(description="Whether p is at most the false alarm rate.")
    p: float = Field(
        description="Share of the ID validation images that look at least as shifted, this one "
        "counted among them."
    )
    distance: float = Field(description="Squared Mahalanobis, of the features, to any class.")
    energy: float = Field(description="-log sum exp of the logits.")


class ModelAnswer(BaseModel):
    """One model's answer to one image."""

    model: str
    label: str = Field(description="The best.")
    score: float = Field(description="Its probability.")
    confidence: float | None = Field(
        description="The same, calibrated by the temperature fitted on ID validation; null where "
        "none was fitted for these labels."
    )
    scores: list[Score] = Field(description="Probabilities, best first.")
    member_weights: dict[str, float] | None = Field(
        description="How much each model of a mixture counted for this image."
    )
    shift: ShiftFlag | None = Field(
        description="Null for a model that remembers no training domain, as bases do."
    )


class ImageAnswers(BaseModel):
    """All models' answers to one image, in the order they were named."""

    answers: list[ModelAnswer]
    label_changed: bool = Field(description="Whether the models disagree about the best label.")
    shifted: bool | None = Field(
        description="Whether any model takes the image for shifted; null where none can tell."
    )


class Classification(BaseModel):
    """One entry for each image, in the order sent."""

    object: Literal["classification"] = "classification"
    false_alarm_rate: float
    images: list[ImageAnswers]
