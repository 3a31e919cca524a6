"""A model that is asked often is answered for by a graph, and says the same."""

from __future__ import annotations

import pytest

from api.serving.engine import Engine
from api.serving.graphs import ASKED_OFTEN
from core.prediction import Answers, Compared, Comparison, Embedding, Prediction, Scores
from tests.builders import random_image
from tests.integration.finished_jobs import FinishedJob
from tests.integration.serving import asked, encoded, stored_weights

PROBABILITY = 1e-4


def test_torch_and_its_graph_say_the_same(finished: FinishedJob) -> None:
    images = encoded(random_image(seed, 60, 50) for seed in range(3))
    stored = stored_weights(finished.models[0])
    sizes = [len(image) for image in images]
    prediction = Prediction(model=stored, image_sizes=sizes)
    comparison = Comparison(models=[Compared(**stored.model_dump())], image_sizes=sizes)

    async def before_and_after(engine: Engine) -> tuple[list[Scores], list[Answers]]:
        scores = [await engine.predict(prediction, images)]
        answers = [await engine.compare(comparison, images)]
        for _ in range(ASKED_OFTEN):
            await engine.predict(prediction, images)
        await engine.graphs.settled()
        assert b"lipsum_inference_graphs 1.0" in engine.observations.text()
        nothing = await engine.embed(Embedding(model=stored), [])
        assert (nothing.images, nothing.texts) == ([], [])
        scores.append(await engine.predict(prediction, images))
        answers.append(await engine.compare(comparison, images))
        return scores, answers

    (torchs, graphs), (told, told_by_graph) = asked(finished.settings, before_and_after)
    for one, other in zip(torchs.images, graphs.images, strict=True):
        expected = {score.label: score.score for score in one}
        assert {score.label: score.score for score in other} == pytest.approx(
            expected, abs=PROBABILITY
        )
    for ours, theirs in zip(told.images, told_by_graph.images, strict=True):
        assert theirs[0].confidence == pytest.approx(ours[0].confidence, abs=PROBABILITY)
