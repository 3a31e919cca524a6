"""One life for both flavours of an SDK: each call is written once, with `done` around it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

import openai
from huggingface_hub import AsyncInferenceClient, InferenceClient

from cli.service import Service

SYNC, ASYNC = "sync", "async"


def openai_client(service: Service, flavour: str, key: str | None = None) -> Any:
    """`OpenAI` or `AsyncOpenAI`, of which only the address is ours."""
    kind = openai.OpenAI if flavour == SYNC else openai.AsyncOpenAI
    return kind(base_url=f"{service.address}/v1", api_key=key or service.api_key)


def inference_client(service: Service, flavour: str, model_id: str) -> Any:
    """`InferenceClient` or `AsyncInferenceClient` of a model's own address."""
    kind = InferenceClient if flavour == SYNC else AsyncInferenceClient
    return kind(model=f"{service.address}/v1/models/{model_id}", token=service.api_key)


def stream_kind(flavour: str) -> Any:
    """The SDK's own reader of Server-Sent Events."""
    return openai.Stream[object] if flavour == SYNC else openai.AsyncStream[object]


async def done(call: Any) -> Any:
    """What a call gave: at once, or when awaited."""
    return await call if inspect.isawaitable(call) else call


async def every(items: Any) -> AsyncIterator[Any]:
    """The items of a page and of the pages after it, or of a stream."""
    found = items if isinstance(items, AsyncIterable) else await done(items)
    if isinstance(found, AsyncIterable):
        async for item in found:
            yield item
    else:
        assert isinstance(found, Iterable)
        for item in found:
            yield item
