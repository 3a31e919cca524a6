"""The end of a job that did what it was asked: all it made becomes visible in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from core.ids import MODEL_ID, new_id
from core.jobs.messages import Artifact, Message, SplitResult, StoredModel
from core.records import events, leases, outbox, reports, transitions
from core.records.clean import clean_json, clean_number
from core.records.clock import now
from core.records.events import Line
from core.records.files import RESULT_PURPOSE
from core.records.jobs import end_cancelled
from core.records.leases import Claim, Outcome
from core.records.tables import File, Job, Model, SplitResultRow

_ORDER_STEP = 1e-3  # seconds between created_at of rows published together: keeps their order


def publish(
    session: Session, held: Claim, messages: Sequence[Message], *, max_attempts: int
) -> Outcome:
    """The job succeeded: its models, result table and files, and what was not yet relayed.

    A cancel that was recorded first wins, and nothing is published. Raises LeaseLost.
    """
    job = leases.hold(session, held)
    if job.status == "cancelling":
        return leases.give_back(session, held, messages)
    fault = _find_fault(job, held, messages)
    if fault:
        return leases.settle(session, job, "internal", fault, max_attempts=max_attempts)
    reports.write(session, job, messages)
    published_at: float = session.execute(select(now())).scalar_one()
    models = {item.id: item for item in messages if isinstance(item, StoredModel)}
    _insert_models(session, job, list(models.values()), published_at)
    _insert_results(session, job, [item for item in messages if isinstance(item, SplitResult)])
    artifacts = [item for item in messages if isinstance(item, Artifact)]
    _insert_files(session, job, artifacts, published_at)
    model_id = held.spec.model_id if held.spec.model_id in models else None
    named = f" New fine-tuned model: {model_id}." if model_id else ""
    job = transitions.move(
        session,
        job,
        "succeeded",
        Line(f"The job has successfully completed.{named}"),
        fine_tuned_model=model_id,
        progress=1.0,
    )
    outbox.remove(session, job.id)
    return Outcome(job.id, job.status)


def publish_kept(
    session: Session, held: Claim, messages: Sequence[Message], *, max_attempts: int
) -> Outcome:
    """A cancelled job's last checkpoint was made into models; the job ends. Raises LeaseLost."""
    job = leases.hold(session, held)
    fault = _find_fault(job, held, messages)
    if fault:
        return leases.settle(session, job, "internal", fault, max_attempts=max_attempts)
    reports.write(session, job, messages)
    models = {item.id: item for item in messages if isinstance(item, StoredModel)}
    published_at: float = session.execute(select(now())).scalar_one()
    _insert_models(session, job, list(models.values()), published_at)
    kept = f"Kept as {', '.join(models)}." if models else "There was nothing to keep."
    events.append(session, job.id, [Line(kept)])
    return Outcome(job.id, end_cancelled(session, job).status)


def _find_fault(job: Job, held: Claim, messages: Sequence[Message]) -> str | None:
    """Why these results must not become visible: names and keys are checked, whoever chose them."""
    own = held.spec.model_id
    prefix = f"jobs/{job.id}/attempts/"
    for item in messages:
        if isinstance(item, StoredModel):
            mine = item.id == own or item.id.startswith(f"{own}:")
            if not mine or not MODEL_ID.fullmatch(item.id):
                return f"The trainer named a model {item.id!r}, which is not one of {own}."
        if isinstance(item, StoredModel | Artifact) and not item.object_key.startswith(prefix):
            return f"The trainer stored {item.object_key!r}, which is not under {prefix}."
    return None


def _insert_models(
    session: Session, job: Job, models: Sequence[StoredModel], published_at: float
) -> None:
    if not models:
        return
    session.execute(
        insert(Model),
        [
            {
                "id": model.id,
                "project_id": job.project_id,
                "kind": model.kind,
                "object_key": model.object_key,
                "sha256": model.sha256,
                "size": model.size,
                "members": clean_json(model.members),
                "info": clean_json(model.info),
                "job_id": job.id,
                "seed": model.seed,
                "step": model.step,
                "metrics": clean_json(model.metrics),
                "created_at": published_at + place * _ORDER_STEP,
            }
            for place, model in enumerate(models)
        ],
    )


def _insert_results(session: Session, job: Job, results: Sequence[SplitResult]) -> None:
    rows = {(item.seed, item.model, item.split, item.metric): item for item in results}
    if not rows:
        return
    session.execute(
        insert(SplitResultRow),
        [
            {
                "job_id": job.id,
                "project_id": job.project_id,
                "seed": item.seed,
                "model": item.model,
                "split": item.split,
                "metric": item.metric,
                "value": clean_number(item.value),
                "low": clean_number(item.low),
                "high": clean_number(item.high),
                "n": item.n,
            }
            for item in rows.values()
        ],
    )


def _insert_files(
    session: Session, job: Job, artifacts: Sequence[Artifact], published_at: float
) -> None:
    rows = {item.filename: item for item in artifacts}
    if not rows:
        return
    session.execute(
        insert(File),
        [
            {
                "id": new_id("file"),
                "project_id": job.project_id,
                "filename": item.filename,
                "purpose": RESULT_PURPOSE,
                "status": "processed",
                "bytes": item.size,
                "sha256": item.sha256,
                "object_key": item.object_key,
                "job_id": job.id,
                "key_id": job.key_id,
                "created_at": published_at + place * _ORDER_STEP,
            }
            for place, item in enumerate(rows.values())
        ],
    )
