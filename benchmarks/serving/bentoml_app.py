"""The model under BentoML, with its adaptive batching. Run with the peers' own libraries before
ours on the path; everything it is told comes as JSON in BENCH_ASKED."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bentoml
import open_clip
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file

ASKED = json.loads(os.environ["BENCH_ASKED"])


@bentoml.service(workers=ASKED["workers"], traffic={"timeout": 120, "max_concurrency": 256})
class Classifier:
    """Logits of a head on image features, softmaxed and sorted: what ours answers."""

    def __init__(self) -> None:
        torch.set_num_threads(ASKED["threads"])
        directory = Path(ASKED["directory"])
        source = f"local-dir:{directory}"
        self._model, _, self._prepare = open_clip.create_model_and_transforms(source)
        self._model.eval()
        head = load_file(directory / "head.safetensors")
        self._weight = head["scale"].float() * head["weight"]
        self._classes = json.loads((directory / "classes.json").read_text())["classes"]

    @bentoml.api(
        batchable=True,
        max_batch_size=ASKED["batch"],
        max_latency_ms=60_000,
    )
    def classify(self, images: list[Pillow.Image]) -> list[list[dict[str, Any]]]:
        batch = torch.stack([self._prepare(image.convert("RGB")) for image in images])
        with torch.inference_mode():
            features = self._model.encode_image(batch, normalize=True)
            scores, columns = (features @ self._weight).softmax(dim=-1).sort(descending=True)
        return [
            [
                {"label": self._classes[column], "score": score}
                for score, column in zip(row, places, strict=True)
            ]
            for row, places in zip(scores.tolist(), columns.tolist(), strict=True)
        ]
