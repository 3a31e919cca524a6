"""Jobs for tests, made of real archives, a real base and a real object store."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cli.prepare import prepare
from core.bases import register_directory
from core.jobs.spec import DatasetReference, JobSpec, ModelReference, SplitReference
from core.learning.methods import registry
from core.learning.models import save_directory
from core.learning.packing import pack
from core.objects import ObjectStore
from core.records.engine import Database
from core.settings import Settings
from tests.builders import tiny_clip
from tests.services import free_ports

COLOURS = {"ant": (200, 40, 40), "bee": (40, 200, 40), "cat": (40, 40, 200)}


def colour_archive(path: Path, *, per_class: int = 12, shift: int = 60) -> Path:
    """A ZIP of three classes told apart by colour; `night` is the same in the dark."""
    draws = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for split, offset, count in (
            ("train", 0, per_class),
            ("test", 0, per_class // 2),
            ("night", -shift, per_class // 2),
        ):
            for name, colour in COLOURS.items():
                if split == "night" and name == "cat":
                    continue  # a shifted split may hold some of the classes
                for i in range(count):
                    noise = draws.normal(0, 25, (20, 18, 3))
                    pixels = np.clip(np.array(colour) + offset + noise, 0, 255).astype(np.uint8)
                    buffer = io.BytesIO()
                    Image.fromarray(pixels).save(buffer, "PNG")
                    archive.writestr(f"{split}/{name}/{i:03d}.png", buffer.getvalue())
    return path


def stored_base(store: ObjectStore, directory: Path, seed: int = 0) -> ModelReference:
    """A tiny random CLIP in the object store."""
    save_directory(tiny_clip(seed), directory / "base")
    tar = directory / "base.tar"
    pack(directory / "base", tar)
    digest = hashlib.sha256(tar.read_bytes()).hexdigest()
    stored = store.put_file(f"bases/{digest}.tar", tar)
    return ModelReference(
        id="base:tiny", object_key=stored.key, sha256=stored.sha256, size=stored.size
    )


def stored_dataset(store: ObjectStore, archive: Path) -> DatasetReference:
    """An archive in the object store, not yet checked."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    stored = store.put_file(f"files/proj-test/{digest}", archive)
    return DatasetReference(
        version=f"ds-{digest[:32]}",
        archive_key=stored.key,
        archive_size=stored.size,
        index_key=f"datasets/proj-test/ds-{digest[:32]}/index.parquet",
    )


def service_settings(directory: Path, **changes: Any) -> Settings:
    """A data directory ready for a service of its own, with `base:tiny` registered."""
    values: dict[str, Any] = {**free_ports("port", "serving_port"), "device": "cpu"}
    settings = Settings(data_dir=directory / "data", **{**values, **changes})
    prepare(settings)
    save_directory(tiny_clip(), directory / "tiny")
    database = Database(settings.resolved_database_url)
    register_directory(database, ObjectStore.from_settings(settings), "tiny", directory / "tiny")
    database.close()
    return settings


def job_spec(
    settings: Settings,
    directory: Path,
    *,
    method: str = "lipsum_ft",
    seeds: tuple[int, ...] = (0,),
    archive: Path | None = None,
    **hyperparameters: object,
) -> JobSpec:
    """A job over `colour_archive`, or the archive given, on a tiny base."""
    store = ObjectStore.from_settings(settings)
    directory.mkdir(parents=True, exist_ok=True)
    dataset = stored_dataset(store, archive or colour_archive(directory / "colours.zip"))
    small = {"learning_rate": 1e-3, "batch_size": 8, "n_steps": 6, "n_evaluations": 2}
    known = registry()[method]
    chosen = {**small, **hyperparameters} if known.kind == "training" else hyperparameters
    return JobSpec(
        job_id="ftjob-test",
        method=method,
        hyperparameters=known.resolve(chosen, n_train=32),
        theta0=stored_base(store, directory),
        model_id="ft:tiny::test",
        datasets=[dataset],
        splits=[
            SplitReference(name=name, version=dataset.version, archive_split=name)
            for name in ("train", "test", "night")
        ],
        seeds=list(seeds),
        alphas=[0.5],
        max_unreadable_fraction=0.0,
    )
