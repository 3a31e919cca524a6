"""Where a trainer's inputs come from and where its outputs go.

Inputs are fetched by the keys of the specification into the worker's cache, which other
trainers share and which can be deleted at any time; outputs go under the attempt's own prefix,
where only a fenced row can make them visible.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from core.datasets.index import DatasetIndex
from core.datasets.limits import Limits
from core.datasets.plain import is_plain, write_plain
from core.jobs.checkpoint import CheckpointReference
from core.jobs.messages import Artifact
from core.jobs.spec import DatasetReference, JobSpec, ModelReference
from core.model_cache import fetch_model
from core.objects import ObjectStore, StoredObject
from core.settings import Settings
from worker.pipeline.reports import Reporter


@dataclass(frozen=True)
class Workspace:
    """One attempt's surroundings."""

    spec: JobSpec
    attempt: int
    settings: Settings
    store: ObjectStore
    reporter: Reporter
    directory: Path  # this attempt's own; gone when the attempt is
    checkpoints: tuple[CheckpointReference, ...] = ()  # to go on from, the newest first

    @property
    def limits(self) -> Limits:
        """Of what an archive may hold. The file itself was accepted when it was uploaded, and
        may be larger here, where it is kept uncompressed."""
        return dataclasses.replace(Limits.from_settings(self.settings), max_file_bytes=sys.maxsize)

    def model_directory(self, reference: ModelReference) -> Path:
        """The unpacked model. Raises `StorageFault` when the stored tar is not what it was."""
        cache = self.settings.cache_directory
        return fetch_model(self.store, cache, reference.object_key, reference.sha256)

    def archive(self, reference: DatasetReference) -> Path:
        """The dataset's archive on this machine's disk, a compressed one decompressed: images are
        read by position, and a stream would be read from its start for each."""
        target = self._cached("archives", reference.version)
        if not target.is_file():
            part = self.directory / f"{reference.version}.part"
            self.store.download(reference.archive_key, part)
            if not is_plain(part):
                plain = part.with_suffix(".plain.part")
                write_plain(part, plain, self.limits)
                os.replace(plain, part)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, target)
        os.utime(target)
        return target

    def index(self, reference: DatasetReference) -> DatasetIndex:
        """The checked index of a dataset version."""
        return DatasetIndex.from_parquet_bytes(self.store.read_bytes(reference.index_key))

    def cache_path(self, kind: str, *identity: str) -> Path:
        """Where something that can be made again is kept: a name by content."""
        digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()
        return self._cached(kind, digest)

    def store_artifact(self, filename: str, path: Path) -> StoredObject:
        """Upload a result file under this attempt and report it."""
        stored = self.store.put_file(self.object_key(filename), path)
        self.reporter.send(
            Artifact(
                filename=filename, object_key=stored.key, sha256=stored.sha256, size=stored.size
            )
        )
        return stored

    def object_key(self, name: str) -> str:
        """A key that belongs to this attempt alone."""
        return f"jobs/{self.spec.job_id}/attempts/{self.attempt}/{name}"

    def _cached(self, kind: str, name: str) -> Path:
        return self.settings.cache_directory / kind / name
