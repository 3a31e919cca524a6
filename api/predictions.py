"""The API's side of the loopback line to the inference process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import TypeVar

import httpx
import structlog
from aiohttp import ClientError, ClientSession
from pydantic import BaseModel, ValidationError

from core.errors import InvalidRequest, NotFound, ServiceError, StorageFault, Unavailable
from core.learning.formats.names import Format
from core.prediction import (
    CONTENT_TYPE,
    EXPORTS_PATH,
    Answer,
    Answers,
    Comparison,
    Embedding,
    Exported,
    Exporting,
    Fault,
    Forgetting,
    Held,
    Loading,
    Prediction,
    Question,
    Score,
    Scores,
    StoredWeights,
    Vectors,
    encode,
)
from core.settings import KIB

log = structlog.get_logger(__name__)

PIECE = 128 * KIB  # of a body, sent at once

_FAULTS: dict[str, type[ServiceError]] = {
    "invalid": InvalidRequest,
    "unavailable": Unavailable,
    "storage": StorageFault,
}


_Answer = TypeVar("_Answer", bound=BaseModel)


async def predict(
    client: ClientSession, prediction: Prediction, images: list[bytes]
) -> list[list[Score]]:
    """Scores of each image. Raises Unavailable when nobody answers, and what the answer says."""
    return (await _ask(client, prediction, images, Scores)).images


async def compare(
    client: ClientSession, comparison: Comparison, images: list[bytes]
) -> list[list[Answer]]:
    """For each image an answer of each model. Raises as `predict`."""
    return (await _ask(client, comparison, images, Answers)).images


async def load(client: ClientSession, model: StoredWeights) -> None:
    """Has the model loaded. Raises as `predict`."""
    await _ask(client, Loading(model=model), [], Held)


async def export(client: ClientSession, model: StoredWeights, wanted: Format) -> Exported:
    """Has the model in another format, where `ServedExports` reads it. Raises as `predict`."""
    return await _ask(client, Exporting(model=model, format=wanted), [], Exported)


class ServedExports:
    """Exports, read from the inference process as an object store is read."""

    def __init__(self, address: str, timeout: float) -> None:
        """`timeout` in seconds, of each read."""
        self._address, self._timeout = address, timeout

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes `start` to before `end` of the export of that name. Blocking.

        Raises NotFound when it is gone, and Unavailable.
        """
        client = httpx.Client(timeout=self._timeout, trust_env=False)
        address = f"{self._address}{EXPORTS_PATH}/{key}"
        asking = client.build_request("GET", address, headers={"range": f"bytes={start}-{end - 1}"})
        try:
            answer = client.send(asking, stream=True)
            if answer.status_code == 404:
                raise NotFound("The export was removed to make room; ask for it again.")
            answer.raise_for_status()
        except BaseException as error:
            client.close()
            if isinstance(error, httpx.HTTPError):
                raise _unavailable(error, self._address) from error
            raise
        return _all_of(client, answer)


async def forget(client: ClientSession, model: StoredWeights) -> None:
    """Frees the memory of a model that nobody may ask any more, if anybody answers."""
    try:
        await _ask(client, Forgetting(model=model), [], Held)
    except Unavailable as fault:  # it leaves when room is needed
        log.info("model_not_forgotten", model=model.model_id, code=fault.code)


async def embed(client: ClientSession, embedding: Embedding, images: list[bytes]) -> Vectors:
    """Features of texts and images. Raises as `predict`."""
    return await _ask(client, embedding, images, Vectors)


async def _ask(
    client: ClientSession, question: Question, images: list[bytes], answer: type[_Answer]
) -> _Answer:
    parts = encode(question, images)
    size = sum(map(len, parts))
    headers = {"content-type": CONTENT_TYPE, "content-length": str(size)}
    body = b"".join(parts) if size <= PIECE else _pieces(parts)
    try:
        async with client.post(question.path, data=body, headers=headers) as response:
            status, body = response.status, await response.read()
    except (ClientError, TimeoutError) as error:
        raise _unavailable(error, question.path) from error
    if status == 200:
        return answer.model_validate_json(body)
    raise _fault(status, body)


async def _pieces(parts: list[bytes]) -> AsyncIterator[memoryview]:
    """All of it, in pieces between which others are served."""
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), PIECE):
            yield view[start : start + PIECE]


def _all_of(client: httpx.Client, answer: httpx.Response) -> Iterator[bytes]:
    with closing(client), closing(answer):
        yield from answer.iter_raw()


def _unavailable(error: Exception, url: str) -> Unavailable:
    log.warning("inference_unavailable", fault=type(error).__name__, url=url)
    why = "in time" if isinstance(error, (httpx.TimeoutException, TimeoutError)) else "at all"
    return Unavailable(
        f"The inference process did not answer {why}; try again in a moment.",
        code="inference_unavailable",
    )


def _fault(status: int, body: bytes) -> ServiceError:
    try:
        fault = Fault.model_validate_json(body)
    except ValidationError:
        log.error("inference_failed", status=status, body=body[:500].decode(errors="replace"))
        return Unavailable("The inference process failed; try again.", code="inference_failed")
    return _FAULTS[fault.kind](fault.message, code=fault.code, param=fault.param)
