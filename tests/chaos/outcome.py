"""What a job made, in a form that does not name the job: equal for equal work, to the last bit."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

from sqlalchemy import select

from core.objects import ObjectStore
from core.records.engine import Database
from core.records.tables import File, JobMetric, Model, SplitResultRow


def outcome(database: Database, store: ObjectStore, job_id: str) -> dict[str, Any]:
    """SHA-256 of every model's weights, of all step metrics and of all scores; names of files."""
    with database.read() as session:
        models = session.execute(select(Model).where(Model.job_id == job_id)).scalars().all()
        metrics = session.execute(
            select(JobMetric.seed, JobMetric.step, JobMetric.name, JobMetric.value)
            .where(JobMetric.job_id == job_id)
            .order_by(JobMetric.seed, JobMetric.step, JobMetric.name)
        ).all()
        scores = session.execute(
            select(SplitResultRow).where(SplitResultRow.job_id == job_id)
        ).scalars()
        table = sorted(
            (
                s.seed,
                _plain(s.model, job_id),
                s.split,
                s.metric,
                s.n,
                repr((s.value, s.low, s.high)),
            )
            for s in scores
        )
        files = session.execute(select(File.filename).where(File.job_id == job_id)).scalars().all()
    own = job_id.removeprefix("ftjob-")
    steps: dict[str, set[int]] = defaultdict(set)
    for metric in metrics:
        steps[f"{metric.seed}"].add(metric.step)
    return {
        "weights": {
            f"{_plain(model.id, own)} {name}": digest
            for model in models
            for name, digest in _weights(store, model).items()
        },
        "metrics": _digest([tuple(metric) for metric in metrics]),
        "steps": {seed: len(found) for seed, found in steps.items()},
        "scores": _digest(table),
        "files": sorted(_plain(name, own) for name in files),
    }


def _weights(store: ObjectStore, model: Model) -> dict[str, str]:
    """Of each file of tensors in the stored tar."""
    found = {}
    for name, (offset, size) in model.members.items():
        if name.endswith(".safetensors"):
            found[name] = hashlib.sha256(
                b"".join(store.read(model.object_key, offset, offset + size))
            ).hexdigest()
    return found


def _plain(text: str, own: str) -> str:
    return text.replace(own, "JOB").replace(own.removeprefix("ftjob-"), "JOB")


def _digest(rows: list[Any]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()
