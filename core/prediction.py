"""What the API asks of the inference process and what that answers, over loopback HTTP.

A request is one line of JSON and then the images' bytes, one after another: images are neither
written to disk nor made a third longer by base64. The API has authenticated the caller, chosen
the model's row and checked what can be checked without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.learning.formats.names import Format

CONTENT_TYPE = "application/vnd.lipsum.prediction"

EXPORTS_PATH = "/exports"

Encoded = bytes | memoryview  # an image's bytes as they came

Function = Literal["softmax", "sigmoid", "none"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredWeights(_Frozen):
    """Which model is asked, and where it lies."""

    model_id: str
    object_key: str = Field(description="Of the model's tar; chosen by the service.")
    sha256: str = Field(description="Of the tar.")
    pinned: bool = Field(False, description="Whether it stays in memory once it is there.")


class Question(_Frozen):
    """What is asked about which images."""

    path: ClassVar[str]

    image_sizes: list[int] = Field(
        default_factory=list, description="Bytes of each image that follows."
    )


class Loading(Question):
    """That a model be in memory before it is asked."""

    path = "/load"

    model: StoredWeights


class Forgetting(Question):
    """That a model leave memory, which nobody may ask any more."""

    path = "/forget"

    model: StoredWeights


class Exporting(Question):
    """That a model be there in another library's format."""

    path = "/export"

    model: StoredWeights
    format: Format


class Prediction(Question):
    """How well labels fit images."""

    path = "/predict"

    model: StoredWeights
    labels: list[str] | None = Field(
        None, description="Candidate labels for the text tower; None for the model's own head."
    )
    templates: list[str] = Field(default_factory=list, description="Texts with one {} each.")
    function: Function = "softmax"
    top_k: int | None = None


class Embedding(Question):
    """Where texts and images lie in the space they share."""

    path = "/embed"

    model: StoredWeights
    texts: list[str] = Field(default_factory=list)


class Compared(StoredWeights):
    """One of several models that are asked the same."""

    theta0: str | None = Field(None, description="The model that it descends from.")


class Comparison(Question):
    """What several models say of the same images, side by side.

    Without labels each answers for the classes it was trained on; one that has none of its own
    answers for those of the first that has.
    """

    path = "/compare"

    models: list[Compared]
    labels: list[str] | None = None
    templates: list[str] = Field(default_factory=list, description="Texts with one {} each.")
    top_k: int | None = None


class Score(_Frozen):
    """How well a label fits an image. Also the shape of Hugging Face's task routes."""

    label: str
    score: float


class Scores(_Frozen):
    """For each image its labels, best first."""

    images: list[list[Score]]


class Vectors(_Frozen):
    """An L2-normalised feature vector of each text and each image, in their order."""

    texts: list[list[float]]
    images: list[list[float]]


class Held(_Frozen):
    """What models in memory take of it."""

    bytes: int


class Exported(_Frozen):
    """A tar that the inference process has, at `EXPORTS_PATH/{name}`."""

    name: str
    sha256: str
    size: int


class ShiftSeen(_Frozen):
    """How far an image lies from what a model was trained on
    (`core.learning.statistics.Shift`)."""

    distance: float
    energy: float
    p: float


class Answer(_Frozen):
    """One model's answer to one image."""

    scores: list[Score] = Field(description="Probabilities, best first.")
    confidence: float | None = Field(description="Of the first, calibrated on ID validation.")
    weights: dict[str, float] | None = Field(description="Of a mixture's members, by folder.")
    shift: ShiftSeen | None


class Answers(_Frozen):
    """For each image an answer of each model, in the order they were asked."""

    images: list[list[Answer]]


class Fault(_Frozen):
    """Why there is no answer, and whose fault that is."""

    kind: Literal["invalid", "unavailable", "storage"]
    message: str
    code: str
    param: str | None = None


Asked = TypeVar("Asked", bound=Question)


def encode(question: Question, images: Sequence[bytes]) -> list[bytes]:
    """The body of a request, in parts. `question.image_sizes` are the images' lengths."""
    return [question.model_dump_json().encode() + b"\n", *images]


def decode(body: bytes, kind: type[Asked]) -> tuple[Asked, list[memoryview]]:
    """A request's two parts. Raises ValueError when the body is none of ours."""
    end = body.find(b"\n")
    if end < 0:
        raise ValueError(f"the header is no {kind.__name__.lower()}: its line does not end")
    header, rest = body[:end], memoryview(body)[end + 1 :]
    try:
        question = kind.model_validate_json(header)
    except ValidationError as error:
        raise ValueError(f"the header is no {kind.__name__.lower()}: {error}") from error
    if any(size < 0 for size in question.image_sizes) or len(rest) != sum(question.image_sizes):
        raise ValueError(
            f"the images have {len(rest)} bytes; the header says {sum(question.image_sizes)}"
        )
    ends = list(accumulate(question.image_sizes, initial=0))
    return question, [rest[start:end] for start, end in pairwise(ends)]
