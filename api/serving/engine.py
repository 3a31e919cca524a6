"""From bytes to scores and features: fetch, decode, batch, score.

The event loop only passes things on. Images are decoded by as many threads as there are cores, and
large ones by a process that gives way to these. Towers run in one thread or on each core, texts are
encoded in another so that a thousand labels do not hold up everybody's images, and weights are
loaded in a third (`api.serving.threads` says why these are as they are).
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from PIL import Image
from torch import Tensor

from api.serving.batcher import Batcher
from api.serving.byte_cache import ByteCache
from api.serving.comparing import (
    Contender,
    OwnClasses,
    answers,
    distinct_transforms,
    own_classes,
)
from api.serving.cuda_graphs import CudaGraphs
from api.serving.exports import Conversions, make_export
from api.serving.graphs import Graphs
from api.serving.large_images import LargeImages
from api.serving.loaded_model import (
    Classifier,
    Loaded,
    LoadedMixture,
    LoadedModel,
    Servable,
    load_model,
    score,
)
from api.serving.observed import Observations, Standing
from api.serving.threads import CORES, compute_on, give_way, run_in, with_all_cores
from core.datasets.images import LargeImage, UnreadableImage, decode_about
from core.datasets.limits import Limits
from core.errors import InvalidRequest
from core.learning.formats.names import Format
from core.learning.models import pick_device
from core.objects import ObjectStore
from core.prediction import (
    Answers,
    Compared,
    Comparison,
    Embedding,
    Encoded,
    Exported,
    Exporting,
    Forgetting,
    Held,
    Loading,
    Prediction,
    Scores,
    StoredWeights,
    Vectors,
)
from core.settings import MIB, Settings
from core.single_flight import SingleFlight

AT_ONCE = 1024  # scores that take less time than to hand them to a thread
AT_ONCE_PIXELS = 4_000_000  # of an image; one of more gives way to others
CLASSIFIER_BYTES = 64 * MIB  # of zero-shot heads kept, whatever the models

_Found = TypeVar("_Found")
_ClassifierKey = tuple[str, tuple[str, ...], tuple[str, ...]]


class Engine:
    """Everything the process keeps. Use it within one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = Limits.from_settings(settings)
        self._store = ObjectStore.from_settings(settings)
        self._device = pick_device(settings.device)
        self._models: ByteCache[str, Loaded] = ByteCache(
            settings.serving_model_bytes, lambda model: model.bytes
        )
        self._classifiers: ByteCache[_ClassifierKey, Classifier] = ByteCache(
            CLASSIFIER_BYTES, lambda classifier: classifier.bytes
        )
        self.batcher: Batcher[Servable, Tensor, Tensor] = Batcher(self._features)
        self._decoding = ThreadPoolExecutor(os.cpu_count() or 1, "decode", compute_on, (1,))
        self._large_images = LargeImages(self._limits)
        self._shrinking_large = ThreadPoolExecutor(1, "large", give_way)
        self._towers = ThreadPoolExecutor(1, "towers")
        self._cores = ThreadPoolExecutor(CORES, "core")
        self._texts = ThreadPoolExecutor(1, "texts")
        self._loading = ThreadPoolExecutor(1, "load")
        self._exporting = ThreadPoolExecutor(1, "export")
        self._graph_making = ThreadPoolExecutor(1, "graph")  # nobody's export waits for it
        self._conversions = Conversions()
        self.observations = Observations(self._standing)
        self._exports: SingleFlight[tuple[str, str], Exported] = SingleFlight()
        self.graphs = Graphs(settings, self._export_for_graph)
        with_cuda = self._device.type == "cuda" and settings.serving_graphs
        self._cuda_graphs = CudaGraphs() if with_cuda else None

    async def predict(self, prediction: Prediction, images: Sequence[Encoded]) -> Scores:
        """Scores of each image. Raises InvalidRequest, Unavailable and StorageFault."""
        self.batcher.require_room(len(images))
        model = await self._model(prediction.model)
        classifier = await self._classifier(prediction, model)
        (features,) = await self._image_features([model], images)
        asked = (classifier, features, prediction.function, prediction.top_k)
        if len(images) * len(classifier.labels) <= AT_ONCE:
            return Scores(images=score(*asked))
        return Scores(images=await run_in(self._decoding, score, *asked))

    async def compare(self, comparison: Comparison, images: Sequence[Encoded]) -> Answers:
        """Every model's answer to each image. Raises as `predict`."""
        self.batcher.require_room(len(images) * len(comparison.models))
        models = await asyncio.gather(*map(self._model, comparison.models))
        contenders = await self._contenders(comparison, models)
        features = await self._image_features(models, images)
        by_model = await asyncio.gather(
            *(
                run_in(self._decoding, answers, contender, found, comparison.top_k)
                for contender, found in zip(contenders, features, strict=True)
            )
        )
        return Answers(images=[list(answered) for answered in zip(*by_model, strict=True)])

    async def load(self, loading: Loading, _images: Sequence[Encoded]) -> Held:
        """Has a model in memory before it is asked. Raises Unavailable and StorageFault."""
        await self._model(loading.model)
        return Held(bytes=self._models.bytes)

    async def forget(self, forgetting: Forgetting, _images: Sequence[Encoded]) -> Held:
        """Frees a model; whoever is being answered by it is answered."""
        self._models.drop(forgetting.model.sha256)
        return Held(bytes=self._models.bytes)

    async def export(self, exporting: Exporting, _images: Sequence[Encoded]) -> Exported:
        """Has a model in another format. Raises as `exports.make_export`."""
        return await self._export(
            self._exporting, exporting.model, exporting.format, gives_way=False
        )

    async def _export_for_graph(self, stored: StoredWeights) -> Exported:
        return await self._export(self._graph_making, stored, "onnx", gives_way=True)

    async def _export(
        self, pool: ThreadPoolExecutor, stored: StoredWeights, wanted: Format, *, gives_way: bool
    ) -> Exported:
        async def make() -> Exported:
            return await run_in(
                pool,
                make_export,
                self._settings,
                self._store,
                self._conversions,
                stored,
                wanted,
                gives_way,
            )

        return await self._exports.do((stored.sha256, wanted), make)

    async def embed(self, embedding: Embedding, images: Sequence[Encoded]) -> Vectors:
        """Features of texts and images. Raises as `predict`."""
        self.batcher.require_room(len(images))
        model = await self._model(embedding.model)
        assert isinstance(model, LoadedModel)  # the API refuses mixtures
        texts, features = await asyncio.gather(
            run_in(self._texts, with_all_cores, model.text_features, embedding.texts),
            self._image_features([model], images),
        )
        vectors = [vector.tolist() for vector in features[0]]
        return Vectors(texts=texts.tolist(), images=vectors)

    def close(self) -> None:
        """Waits for what is being computed, but for no conversion; nothing new starts."""
        self._conversions.stop()
        self._large_images.close()
        for pool in (
            self._decoding,
            self._shrinking_large,
            self._towers,
            self._cores,
            self._texts,
            self._loading,
            self._exporting,
            self._graph_making,
        ):
            pool.shutdown(cancel_futures=True)

    def _standing(self) -> Standing:
        models = self._models.values()
        graphs = [model for model in models if isinstance(model, LoadedModel) and model.graph]
        return Standing(
            waiting_images=self.batcher.busy,
            models=len(models),
            model_bytes=self._models.bytes,
            graphs=len(graphs),
            graphs_coming=self.graphs.coming,
        )

    async def _image_features(
        self, models: Sequence[Loaded], images: Sequence[Encoded]
    ) -> list[list[Tensor]]:
        """For each model the features of each image, which is decoded once for all of them.

        Small models with graphs gain next to nothing from a batch: the thread that decoded an image
        asks them at once.
        """
        transforms, places = distinct_transforms(models)
        with self.batcher.coming(len(images)):
            if all(map(_answers_at_once, models)):
                ask = partial(_ask, transforms, places, models)
                by_image = await self._of_each(images, transforms, ask)
                return [[features[n] for features in by_image] for n in range(len(models))]
            prepared = await self._of_each(images, transforms, partial(_prepare, transforms))
            queued = [
                self.batcher.put(model, [tensors[place] for tensors in prepared])
                for model, place in zip(models, places, strict=True)
            ]
        return await asyncio.gather(*queued)

    async def _of_each(
        self,
        images: Sequence[Encoded],
        transforms: Sequence[Servable],
        work: Callable[[Image.Image], _Found],
    ) -> list[_Found]:
        """What `work` makes of each image, decoded for these models. Raises InvalidRequest."""
        side = max(map(_side, transforms)) if self._settings.serving_reduced_decoding else None

        async def of(place: int, image: Encoded) -> _Found:
            try:
                return await self._of_image(image, side, work)
            except UnreadableImage as error:
                which = "The image" if len(images) == 1 else f"Image {place} of {len(images)}"
                raise InvalidRequest(
                    f"{which} cannot be read: {error.message}", code=error.code, param="inputs"
                ) from error

        return await asyncio.gather(*(of(*numbered) for numbered in enumerate(images, start=1)))

    async def _of_image(
        self, data: Encoded, side: int | None, work: Callable[[Image.Image], _Found]
    ) -> _Found:
        def at_once() -> _Found:
            return work(decode_about(bytes(data), self._limits, side, AT_ONCE_PIXELS))

        try:
            return await run_in(self._decoding, at_once)
        except LargeImage:
            image = await self._large_images.decode(data, side)
        is_large = image.width * image.height > AT_ONCE_PIXELS
        return await run_in(self._shrinking_large if is_large else self._decoding, work, image)

    async def _model(self, stored: StoredWeights) -> Loaded:
        async def load() -> Loaded:
            return await run_in(self._loading, self._load, stored)

        model = await self._models.get(stored.sha256, load, pinned=stored.pinned)
        self.graphs.note(stored, model)
        return model

    def _load(self, stored: StoredWeights) -> Loaded:
        model = load_model(
            stored,
            self._store,
            self._settings.cache_directory,
            self._device,
            self._settings.serving_precision,
        )
        if self._cuda_graphs is not None:
            self._cuda_graphs.equip(model)
        return model

    async def _contenders(
        self, comparison: Comparison, models: Sequence[Loaded]
    ) -> list[Contender]:
        own = None if comparison.labels is not None else own_classes(comparison.models, models)
        if comparison.labels is None and own is None:
            raise InvalidRequest(
                "None of the models has classes of its own; pass candidate labels.",
                code="no_head",
                param="models",
            )
        return await asyncio.gather(
            *(
                self._contender(comparison, own, named, model)
                for named, model in zip(comparison.models, models, strict=True)
            )
        )

    async def _contender(
        self, comparison: Comparison, own: OwnClasses | None, named: Compared, model: Loaded
    ) -> Contender:
        if own is None:
            assert comparison.labels is not None and isinstance(model, LoadedModel)
            labels, templates = comparison.labels, comparison.templates
            return Contender(model, await self._zero_shot(named, model, labels, templates), None)
        trained = model.classifier if isinstance(model, LoadedMixture) else model.trained
        if trained is not None:
            return Contender(model, trained, model.calibration.temperature)
        assert isinstance(model, LoadedModel)  # a mixture has classes
        classifier = await self._zero_shot(named, model, own.labels, own.templates)
        calibrated = own.theta0 == named.model_id
        return Contender(model, classifier, own.zero_shot_temperature if calibrated else None)

    async def _classifier(self, prediction: Prediction, model: Loaded) -> Classifier:
        labels, templates = prediction.labels, prediction.templates
        if isinstance(model, LoadedMixture):
            assert labels is None  # the API refuses them
            return model.classifier
        if labels is None:
            trained = model.trained
            if trained is None:
                raise InvalidRequest(
                    f"{prediction.model.model_id} has no trained head; pass candidate labels.",
                    code="no_head",
                    param="model_id",
                )
            return trained
        return await self._zero_shot(prediction.model, model, labels, templates)

    async def _zero_shot(
        self, stored: StoredWeights, model: LoadedModel, labels: list[str], templates: list[str]
    ) -> Classifier:
        key = (stored.sha256, tuple(labels), tuple(templates))
        return await self._classifiers.get(
            key, lambda: run_in(self._texts, with_all_cores, model.zero_shot, labels, templates)
        )

    async def _features(self, model: Servable, images: list[Tensor]) -> Sequence[Tensor]:
        """A large tower's batch goes through in parts, one on each core: cores that share every
        operation wait for each other at its end, and for whoever else needs one of them."""
        self.observations.passed(len(images))
        if model.is_small:
            return await run_in(self._towers, _features_of, model, images, 1)
        if len(images) == 1 or self._device.type != "cpu":
            return await run_in(self._towers, _features_of, model, images, CORES)
        size = math.ceil(len(images) / CORES)
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        threads = CORES // len(parts)
        found = await asyncio.gather(
            *(run_in(self._cores, _features_of, model, part, threads) for part in parts)
        )
        return [features for of_part in found for features in of_part]


def _answers_at_once(model: Loaded) -> bool:
    return isinstance(model, LoadedModel) and model.is_small and model.graph is not None


def _ask(
    transforms: Sequence[Servable],
    places: Sequence[int],
    models: Sequence[Servable],
    image: Image.Image,
) -> list[Tensor]:
    """Each model's features of the image."""
    tensors = _prepare(transforms, image)
    return [model.features([tensors[n]])[0] for model, n in zip(models, places, strict=True)]


def _prepare(transforms: Sequence[Servable], image: Image.Image) -> list[Tensor]:
    """The image as each of these models takes it."""
    return [model.preprocess(image) for model in transforms]


def _features_of(model: Servable, images: list[Tensor], cores: int) -> list[Tensor]:
    compute_on(cores)
    return model.features(images)


def _side(model: Servable) -> int:
    size = model.preprocessing.size
    return size if isinstance(size, int) else max(size)
