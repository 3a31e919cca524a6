"""A part of an upload, written into the service's object store past the service."""

from __future__ import annotations

import time
from typing import Any

import httpx
from openai import OpenAI

from cli.jobs import said_plainly
from core.errors import Unavailable

TRIES = 6
TIMEOUT = 120.0  # seconds without a byte going either way
_WAIT = 0.5  # seconds after the first failure; each wait is twice the one before


def write_part(client: OpenAI, upload_id: str, number: int, digest: str, data: bytes) -> None:
    """Raises ServiceError when the service or its store refuses, and Unavailable when the store
    does not answer."""
    part = {"part_number": number, "sha256": digest, "bytes": len(data)}
    parts = f"/uploads/{upload_id}/parts"
    signed: Any = said_plainly(lambda: client.post(f"{parts}:sign", cast_to=object, body=part))
    put(signed["url"], data)
    said_plainly(lambda: client.post(f"{parts}:confirm", cast_to=object, body=part))


def put(url: str, data: bytes, wait: float = _WAIT) -> None:
    """Raises Unavailable; the address itself is a secret and in no message."""
    fault = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(wait * 2 ** (attempt - 1))
        try:
            answer = httpx.put(url, content=data, timeout=TIMEOUT, trust_env=False)
        except httpx.HTTPError as error:
            fault = type(error).__name__
            continue
        if answer.is_success:
            return
        fault = f"status {answer.status_code}"
        if answer.is_client_error:
            break
    raise Unavailable(
        f"The object store at {httpx.URL(url).netloc.decode()} did not take a part ({fault}). Give "
        "the command again, or leave out --direct.",
        code="store_unreachable",
    )
