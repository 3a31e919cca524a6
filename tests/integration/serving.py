"""The inference process's own engine over what a finished job stored."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from PIL import Image

from api.serving.engine import Engine
from core.jobs.messages import StoredModel
from core.jobs.spec import ModelReference
from core.prediction import StoredWeights
from core.settings import Settings

Found = TypeVar("Found")


def asked(settings: Settings, ask: Callable[[Engine], Awaitable[Found]]) -> Found:
    """What an engine answers that is made for it."""

    async def run() -> Found:
        engine = Engine(settings)
        batching = asyncio.create_task(engine.batcher.run())
        try:
            return await ask(engine)
        finally:
            batching.cancel()
            engine.close()

    return asyncio.run(run())


def encoded(images: Iterable[Image.Image]) -> list[bytes]:
    """As PNG, which loses nothing."""
    found = []
    for image in images:
        out = io.BytesIO()
        image.save(out, "PNG")
        found.append(out.getvalue())
    return found


def stored_weights(model: StoredModel | ModelReference) -> StoredWeights:
    """As the API names it."""
    return StoredWeights(model_id=model.id, object_key=model.object_key, sha256=model.sha256)
