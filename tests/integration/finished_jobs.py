"""Finished training jobs, what is made of their models, and a stranger's look at the result."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow.parquet as pq
import safetensors.torch
import torch
from PIL import Image

from core.jobs.messages import (
    Artifact,
    Event,
    Finished,
    Message,
    SplitResult,
    StoredModel,
)
from core.jobs.spec import JobSpec, ModelReference
from core.learning.methods import registry
from core.objects import ObjectStore
from core.settings import Settings
from tests.jobs import colour_archive, job_spec
from tests.pipeline import run_here
from worker.pipeline.workspace import Workspace
from worker.run import perform

Array = np.ndarray
Rows = dict[tuple[int, str, str, str], float]


@dataclass
class FinishedJob:
    """A training job of a few seeds on a tiny base, done."""

    settings: Settings
    directory: Path
    spec: JobSpec
    messages: list[Message]

    @property
    def store(self) -> ObjectStore:
        return ObjectStore.from_settings(self.settings)

    @property
    def models(self) -> list[ModelReference]:
        """One for each seed."""
        return [reference_of(model) for model in stored(self.messages)]

    def combine(
        self,
        method: str,
        inputs: Iterable[ModelReference] | None = None,
        *,
        seeds: list[int] | None = None,
        **hyperparameters: Any,
    ) -> list[Message]:
        """What a job of `method` reports; of the job's own models and seeds unless given."""
        chosen = self.models if inputs is None else list(inputs)
        one_by_one = registry()[method].n_inputs == (1, 1)
        own = self.spec.seeds if one_by_one and inputs is None else self.spec.seeds[:1]
        number = len(list(self.directory.glob("made-*")))
        spec = self.spec.model_copy(
            update={
                "job_id": f"ftjob-made-{number}",
                "method": method,
                "hyperparameters": registry()[method].resolve(hyperparameters, n_train=32),
                "inputs": chosen,
                "seeds": seeds or own,
                "held_out_seed": self.spec.slice_seed,
                "alphas": [],
                "model_id": f"ft:tiny:{method}:test",
            }
        )
        work = self.directory / f"made-{number}"
        return run_here(self.settings, spec, work, _perform).messages

    def unpacked(self, model: StoredModel | ModelReference) -> Path:
        """The stored tar's files."""
        target = self.directory / "unpacked" / model.sha256
        if not target.is_dir():
            packed = io.BytesIO(self.store.read_bytes(model.object_key))
            with tarfile.open(fileobj=packed) as archive:
                archive.extractall(target, filter="data")
        return target

    def images(self, keys: Iterable[str]) -> list[Image.Image]:
        """Images of the training file by the names that predictions give them."""
        packed = io.BytesIO(self.store.read_bytes(self.spec.datasets[0].archive_key))
        with zipfile.ZipFile(packed) as archive:
            return [Image.open(io.BytesIO(archive.read(key))).convert("RGB") for key in keys]

    def predictions(
        self, messages: list[Message], model: str, seed: int, split: str
    ) -> list[dict[str, Any]]:
        """One row for each image, of the job's own Parquet file."""
        (artifact,) = [
            message
            for message in messages
            if isinstance(message, Artifact) and message.filename == "predictions.parquet"
        ]
        table = pq.read_table(io.BytesIO(self.store.read_bytes(artifact.object_key)))
        return [
            row
            for row in table.to_pylist()
            if (row["model"], row["seed"], row["split"]) == (model, seed, split)
        ]


def train(directory: Path, method: str = "ft", seeds: tuple[int, ...] = (3, 4)) -> FinishedJob:
    """Train in this process: well enough to be right often, not enough to be always right."""
    settings = Settings(data_dir=directory / "data", device="cpu")
    spec = job_spec(
        settings,
        directory / "inputs",
        method=method,
        seeds=seeds,
        archive=colour_archive(directory / "colours.zip", per_class=20),
        learning_rate=3e-4,
        n_steps=8,
        n_evaluations=1,
        precision="fp32",
    )
    done = run_here(settings, spec, directory / "train", _perform)
    return FinishedJob(settings, directory, spec, done.messages)


def reference_of(model: StoredModel) -> ModelReference:
    """The stored model as a specification names it."""
    return ModelReference(
        id=model.id, object_key=model.object_key, sha256=model.sha256, size=model.size
    )


def rows_of(messages: list[Message]) -> Rows:
    """The result table."""
    found = [message for message in messages if isinstance(message, SplitResult)]
    return {(row.seed, row.model, row.split, row.metric): row.value for row in found}


def stored(messages: list[Message]) -> list[StoredModel]:
    """The finished models, without checkpoints."""
    found = [message for message in messages if isinstance(message, StoredModel)]
    return [model for model in found if model.kind == "fine_tuned"]


def said(messages: list[Message]) -> list[str]:
    """The job's sentences, a warning's marked."""
    events = [message for message in messages if isinstance(message, Event)]
    return [f"{'! ' if e.level == 'warn' else ''}{e.message}" for e in events]


def plain_answers(directory: Path, images: list[Image.Image]) -> tuple[Array, Array]:
    """Unit features (N, D) and logits (N, K) in float64, by open_clip and the head's file alone."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{directory}")
    head = safetensors.torch.load_file(directory / "head.safetensors")
    batch = torch.stack([preprocess(image) for image in images])
    with torch.inference_mode():
        features = model.eval().encode_image(batch).double().numpy()
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return features, head["scale"].item() * features @ head["weight"].double().numpy()


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def weights_of(directory: Path) -> dict[str, torch.Tensor]:
    """Every floating-point tensor of a model, the head among them."""
    state = safetensors.torch.load_file(directory / "open_clip_model.safetensors")
    head = safetensors.torch.load_file(directory / "head.safetensors")["weight"]
    return {"head": head, **{k: v for k, v in state.items() if v.is_floating_point()}}


def _perform(workspace: Workspace) -> None:
    assert perform(workspace) == Finished()
