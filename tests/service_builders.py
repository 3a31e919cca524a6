"""Rows and specifications for tests of the service: real ones, as small as they can be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import update

from core.access.key_hash import KeyHash
from core.access.scopes import USER_SCOPES, Scope
from core.ids import new_id
from core.jobs.messages import Artifact, SplitResult, StoredModel
from core.jobs.spec import DatasetReference, JobSpec, ModelReference, SplitReference
from core.records import datasets, job_logs, jobs, keys, leases, projects
from core.records.clock import read_clock
from core.records.engine import Database, Session
from core.records.leases import Claim
from core.records.tables import ApiKey, Job, OutboxRow

LEASE = 60.0  # seconds
MOST = 3  # attempts
KEY_SECRET = "the secret that API keys of tests are hashed with"
HASHING = KeyHash(KEY_SECRET.encode())


def project(database: Database, name: str = "ours") -> str:
    """The id of a project."""
    with database.write() as session:
        return projects.find_or_create(session, name).id


def key(
    session: Session,
    project_id: str,
    name: str = "test",
    scopes: Iterable[Scope] = USER_SCOPES,
    expires_in: float | None = None,
) -> tuple[ApiKey, str]:
    """A key and its secret."""
    expires_at = None if expires_in is None else read_clock(session) + expires_in
    return keys.create(session, project_id, name, HASHING, scopes=scopes, expires_at=expires_at)


def dataset(
    database: Database, project_id: str, version: str = "v1", *, checked: bool = True
) -> str:
    """The id of a dataset version."""
    with database.write() as session:
        datasets.create(
            session,
            project_id,
            version,
            archive_key=f"files/{project_id}/{version}",
            archive_size=10,
            archive_sha256=version,
            structure={"train": ["cat", "dog"]},
            index_key=f"datasets/{project_id}/{version}/index.parquet",
        )
        if checked:
            datasets.mark_checked(session, project_id, version, f"{version}.parquet", {"n": 4})
    return version


def specification(version: str = "v1", **changes: Any) -> JobSpec:
    """A job's specification over one dataset version."""
    job_id = changes.pop("job_id", new_id("ftjob"))
    values: dict[str, Any] = {
        "job_id": job_id,
        "method": "ft",
        "hyperparameters": {"learning_rate": 0.001},
        "theta0": ModelReference(id="base:tiny", object_key="bases/aa.tar", sha256="aa", size=100),
        "model_id": f"ft:tiny::{job_id.removeprefix('ftjob-')}",
        "datasets": [
            DatasetReference(
                version=version, archive_key="a", archive_size=10, index_key=f"{version}.parquet"
            )
        ],
        "splits": [SplitReference(name="train", version=version, archive_split="train")],
        "seeds": [0],
        "alphas": [0.5],
        "max_unreadable_fraction": 0.01,
    }
    return JobSpec(**{**values, **changes})


def job(
    database: Database,
    project_id: str,
    *,
    checked: bool = True,
    asked: dict[str, Any] | None = None,
    **changes: Any,
) -> Job:
    """A job that waits for a worker; `asked` are further fields of its request."""
    version = dataset(database, project_id, "checked" if checked else "new", checked=checked)
    request = {"model": "base:tiny", "training_file": "file-1", "suffix": "mine", **(asked or {})}
    with database.write() as session:
        return jobs.create(session, project_id, specification(version, **changes), request)


def claim(database: Database, owner: str = "worker", boot_id: str = "boot") -> Claim:
    """The claim of the oldest waiting job."""
    with database.write() as session:
        found = leases.claim(session, owner, boot_id, LEASE)
    assert found is not None
    return found


def read(database: Database, row: Job | Claim) -> Job:
    """The job as it is now."""
    job_id = row.id if isinstance(row, Job) else row.job_id
    with database.read() as session:
        return jobs.get(session, row.project_id, job_id)


def age(database: Database, job_id: str, seconds: float = 1000.0) -> None:
    """Lets that much time pass for a job's lease and pause."""
    with database.write() as session:
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(
                lease_expires_at=Job.lease_expires_at - seconds,
                not_before=Job.not_before - seconds,
                finished_at=Job.finished_at - seconds,
            )
        )


def log(database: Database, job_id: str) -> bytes:
    """All that is kept of a job's log."""
    with database.read() as session:
        kept = job_logs.kept(session, job_id)
        at, data = kept.start, b""
        while at < kept.end:
            begins, piece = job_logs.read(session, job_id, at)
            assert begins == at
            data, at = data + piece, at + len(piece)
    return data


def results(claim: Claim) -> list[StoredModel | SplitResult | Artifact]:
    """What a trainer reports that did everything."""
    prefix = f"jobs/{claim.job_id}/attempts/{claim.attempt}"
    own = claim.spec.model_id

    def model(model_id: str, kind: Any, step: int | None = None) -> StoredModel:
        name = model_id.rsplit(":", 1)[1]
        return StoredModel(
            id=model_id,
            kind=kind,
            object_key=f"{prefix}/{name}.tar",
            sha256="bb",
            size=200,
            members={"model.safetensors": (512, 100)},
            seed=0,
            step=step,
            metrics={"val/accuracy": 0.5},
        )

    return [
        model(f"{own}:step-20", "checkpoint", 20),
        model(f"{own}:step-100", "checkpoint", 100),
        model(own, "fine_tuned"),
        SplitResult(seed=0, model="zero_shot", split="val", metric="accuracy", value=0.25, n=4),
        SplitResult(
            seed=0,
            model="fine_tuned",
            split="val",
            metric="accuracy",
            value=0.75,
            low=0.5,
            high=1.0,
            n=4,
        ),
        Artifact(filename="report.md", object_key=f"{prefix}/report.md", sha256="cc", size=20),
    ]


def results_of_nothing() -> SplitResult:
    """A result by itself."""
    return SplitResult(seed=0, model="zero_shot", split="val", metric="accuracy", value=0.0, n=0)


def make_bell_due(database: Database, job: Job) -> None:
    """Nobody has heard of the job for a while."""
    with database.write() as session:
        session.execute(update(OutboxRow).where(OutboxRow.job_id == job.id).values(due_at=0.0))
