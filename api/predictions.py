"""The API's side of the loopback line to the inference process."""

from __future__ import annotations

from typing import TypeVar

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from core.errors import InvalidRequest, ServiceError, StorageFault, Unavailable
from core.prediction import (
    CONTENT_TYPE,
    Embedding,
    Fault,
    Prediction,
    Question,
    Score,
    Scores,
    Vectors,
    encode,
)

log = structlog.get_logger(__name__)

_FAULTS: dict[str, type[ServiceError]] = {
    "invalid": InvalidRequest,
    "unavailable": Unavailable,
    "storage": StorageFault,
}


_Answer = TypeVar("_Answer", bound=BaseModel)


async def predict(
    client: httpx.AsyncClient, prediction: Prediction, images: list[bytes]
) -> list[list[Score]]:
    """Scores of each image. Raises Unavailable when nobody answers, and what the answer says."""
    return (await _ask(client, prediction, images, Scores)).images


async def embed(client: httpx.AsyncClient, embedding: Embedding, images: list[bytes]) -> Vectors:
    """Features of texts and images. Raises as `predict`."""
    return await _ask(client, embedding, images, Vectors)


async def _ask(
    client: httpx.AsyncClient, question: Question, images: list[bytes], answer: type[_Answer]
) -> _Answer:
    try:
        response = await client.post(
            question.path, content=encode(question, images), headers={"content-type": CONTENT_TYPE}
        )
    except httpx.HTTPError as error:
        log.warning("inference_unavailable", fault=type(error).__name__, url=str(client.base_url))
        why = "in time" if isinstance(error, httpx.TimeoutException) else "at all"
        raise Unavailable(
            f"The inference process did not answer {why}; try again in a moment.",
            code="inference_unavailable",
        ) from error
    if response.status_code == 200:
        return answer.model_validate_json(response.content)
    raise _fault(response)


def _fault(response: httpx.Response) -> ServiceError:
    try:
        fault = Fault.model_validate_json(response.content)
    except ValidationError:
        log.error("inference_failed", status=response.status_code, body=response.text[:500])
        return Unavailable("The inference process failed; try again.", code="inference_failed")
    return _FAULTS[fault.kind](fault.message, code=fault.code, param=fault.param)
