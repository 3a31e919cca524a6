"""What resolving a job may look up, and the records that answer.

A protocol rather than the records themselves, so that `core.jobs.resolve` says exactly what it
depends on and holds no SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from core.errors import NotFound
from core.jobs.spec import JobSpec
from core.records import datasets, files, jobs, models
from core.records.tables import DatasetVersion, File, Job, Model

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_BASES_NAMED = 50


class Lookup(Protocol):
    """One project's view. Everything is None when there is no such thing, or none of theirs."""

    @property
    def project_id(self) -> str: ...

    def file(self, file_id: str) -> File | None: ...

    def dataset(self, version: str) -> DatasetVersion | None: ...

    def model(self, model_id: str) -> Model | None: ...

    def bases(self) -> list[str]:
        """Ids of the registered bases, for a message."""

    def job(self, job_id: str) -> Job | None: ...

    def spec_of(self, job_id: str) -> JobSpec | None:
        """What that job was resolved to."""

    def models_of(self, job_id: str) -> list[Model]:
        """The finished models of that job, one for each seed, without checkpoints."""

    def made_by(self, job_id: str) -> list[Model]:
        """All that job published and that is still there, checkpoints among them."""


class RecordsLookup:
    """The rows a project can see, inside one unit of work."""

    def __init__(self, session: Session, project_id: str) -> None:
        self._session = session
        self._project_id = project_id

    @property
    def project_id(self) -> str:
        return self._project_id

    def file(self, file_id: str) -> File | None:
        try:
            return files.get(self._session, self._project_id, file_id)
        except NotFound:
            return None

    def dataset(self, version: str) -> DatasetVersion | None:
        try:
            return datasets.get(self._session, self._project_id, version)
        except NotFound:
            return None

    def model(self, model_id: str) -> Model | None:
        try:
            return models.get(self._session, self._project_id, model_id)
        except NotFound:
            return None

    def bases(self) -> list[str]:
        page = models.list_models(
            self._session, self._project_id, kind="base", order="asc", limit=MAX_BASES_NAMED
        )
        return [row.id for row in page.items]

    def job(self, job_id: str) -> Job | None:
        try:
            return jobs.get(self._session, self._project_id, job_id)
        except NotFound:
            return None

    def spec_of(self, job_id: str) -> JobSpec | None:
        job = self.job(job_id)
        return None if job is None else JobSpec.model_validate(job.spec)

    def models_of(self, job_id: str) -> list[Model]:
        return [model for model in self.made_by(job_id) if model.kind == "fine_tuned"]

    def made_by(self, job_id: str) -> list[Model]:
        return models.of_job(self._session, self._project_id, job_id)
