"""Hugging Face's feature extraction, and embeddings of texts and images side by side."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from api.schemas.inference import Base64

MAX_TEXT_CHARACTERS = 10_000
MAX_TEXTS = 1_000

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARACTERS)]
Texts = Annotated[list[Text], Field(max_length=MAX_TEXTS)]
_SOMETHING: JsonDict = {  # said by the route in a sentence of its own
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "array", "minItems": 1}}}
        for name in ("texts", "images")
    ]
}


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FeatureParameters(_Closed):
    """Hugging Face's knobs. Those that would change the features here are refused by name."""

    normalize: Literal[True] | None = Field(
        None, description="Features have unit length here: CLIP compares them so."
    )
    truncate: Literal[True] | None = Field(
        None, description="Texts are cut where the model's context ends."
    )
    truncation_direction: Literal["right", "Right"] | None = None
    prompt_name: None = Field(None, description="No model here has prompts.")
    dimensions: None = Field(None, description="Features have the model's own dimension.")
    encoding_format: Literal["float"] | None = None


class FeatureRequest(FeatureParameters):
    """One text or several. Parameters lie at the root, as Hugging Face's client sends them."""

    inputs: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
    parameters: FeatureParameters | None = Field(None, description="The same, one level down.")
    options: dict[str, Any] | None = Field(None, description="Accepted and ignored.")


class EmbeddingRequest(_Closed):
    """Texts and images; images are base64, with or without a `data:` prefix."""

    model_config = ConfigDict(json_schema_extra=_SOMETHING)

    texts: Texts = Field(default_factory=list)
    images: list[Base64] = Field(default_factory=list)


class Embeddings(BaseModel):
    """A vector of unit length for each text and image, in the order sent."""

    object: Literal["embeddings"] = "embeddings"
    model: str
    dimensions: int
    texts: list[list[float]]
    images: list[list[float]]
