"""From bytes to scores and features: fetch, decode, batch, score.

The event loop only passes things on. Images are decoded by as many threads as there are cores,
towers run in one thread, texts are encoded in another so that a thousand labels do not hold up
everybody's images, and weights are loaded in a third.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from torch import Tensor

from api.serving.batcher import Batcher
from api.serving.byte_cache import ByteCache
from api.serving.loaded_model import (
    Classifier,
    LoadedMixture,
    LoadedModel,
    Servable,
    load_model,
    score,
)
from core.datasets.images import UnreadableImage, decode
from core.datasets.limits import Limits
from core.errors import InvalidRequest
from core.learning.models import pick_device
from core.objects import ObjectStore
from core.prediction import Embedding, Prediction, Question, Scores, Vectors
from core.settings import MIB, Settings

CLASSIFIER_BYTES = 64 * MIB  # of zero-shot heads kept, whatever the models

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")
_ClassifierKey = tuple[str, tuple[str, ...], tuple[str, ...]]


class Engine:
    """Everything the process keeps. Use it within one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = Limits.from_settings(settings)
        self._store = ObjectStore.from_settings(settings)
        self._device = pick_device(settings.device)
        self._models: ByteCache[str, LoadedModel | LoadedMixture] = ByteCache(
            settings.serving_model_bytes, lambda model: model.bytes
        )
        self._classifiers: ByteCache[_ClassifierKey, Classifier] = ByteCache(
            CLASSIFIER_BYTES, lambda classifier: classifier.bytes
        )
        self.batcher: Batcher[Servable, Tensor, Tensor] = Batcher(self._features)
        self._decoding = ThreadPoolExecutor(os.cpu_count() or 1, "decode")
        self._towers = ThreadPoolExecutor(1, "towers")
        self._texts = ThreadPoolExecutor(1, "texts")
        self._loading = ThreadPoolExecutor(1, "load")

    async def predict(self, prediction: Prediction, images: list[bytes]) -> Scores:
        """Scores of each image. Raises InvalidRequest, Unavailable and StorageFault."""
        self.batcher.require_room(len(images))
        model = await self._model(prediction)
        classifier = await self._classifier(prediction, model)
        features = await self._image_features(model, images)
        found = await _in(
            self._decoding, score, classifier, features, prediction.function, prediction.top_k
        )
        return Scores(images=found)

    async def embed(self, embedding: Embedding, images: list[bytes]) -> Vectors:
        """Features of texts and images. Raises as `predict`."""
        self.batcher.require_room(len(images))
        model = await self._model(embedding)
        assert isinstance(model, LoadedModel)  # the API refuses mixtures
        texts, features = await asyncio.gather(
            _in(self._texts, model.text_features, embedding.texts),
            self._image_features(model, images),
        )
        return Vectors(texts=texts.tolist(), images=[vector.tolist() for vector in features])

    def close(self) -> None:
        """Waits for what is being computed; nothing new starts."""
        for pool in (self._decoding, self._towers, self._texts, self._loading):
            pool.shutdown(cancel_futures=True)

    async def _image_features(self, model: Servable, images: list[bytes]) -> list[Tensor]:
        tensors = await asyncio.gather(
            *(
                _in(self._decoding, self._prepare, model, image, place, len(images))
                for place, image in enumerate(images, start=1)
            )
        )
        return await self.batcher.features(model, tensors)

    async def _model(self, question: Question) -> LoadedModel | LoadedMixture:
        async def load() -> LoadedModel | LoadedMixture:
            cache = self._settings.cache_directory
            return await _in(self._loading, load_model, question, self._store, cache, self._device)

        return await self._models.get(question.sha256, load)

    async def _classifier(
        self, prediction: Prediction, model: LoadedModel | LoadedMixture
    ) -> Classifier:
        labels, templates = prediction.labels, prediction.templates
        if isinstance(model, LoadedMixture):
            assert labels is None  # the API refuses them
            return model.classifier
        if labels is None:
            trained = model.trained()
            if trained is None:
                raise InvalidRequest(
                    f"{prediction.model_id} has no trained head; pass candidate labels.",
                    code="no_head",
                    param="model_id",
                )
            return trained
        key = (prediction.sha256, tuple(labels), tuple(templates))
        return await self._classifiers.get(
            key, lambda: _in(self._texts, model.zero_shot, labels, templates)
        )

    def _prepare(self, model: Servable, data: bytes, place: int, n_images: int) -> Tensor:
        try:
            return model.preprocess(decode(data, self._limits))
        except UnreadableImage as error:
            which = "The image" if n_images == 1 else f"Image {place} of {n_images}"
            raise InvalidRequest(
                f"{which} cannot be read: {error.message}", code=error.code, param="inputs"
            ) from error

    async def _features(self, model: Servable, images: list[Tensor]) -> Sequence[Tensor]:
        return await _in(self._towers, model.features, images)


async def _in(
    pool: ThreadPoolExecutor,
    function: Callable[_Given, _Found],
    *args: _Given.args,
    **kwargs: _Given.kwargs,
) -> _Found:
    return await asyncio.wrap_future(pool.submit(function, *args, **kwargs))
