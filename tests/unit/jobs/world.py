"""A project with real rows of real archives, and requests resolved in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.datasets.limits import Limits
from core.datasets.structure import inspect
from core.errors import InvalidRequest
from core.ids import new_id
from core.jobs.lookup import RecordsLookup
from core.jobs.request import JobRequest
from core.jobs.resolve import resolve_job
from core.jobs.spec import JobSpec
from core.records import datasets, files, jobs, publishing
from core.records.engine import Database
from core.settings import Settings
from tests.api_service import add_base, make_settings, prepare
from tests.service_builders import MOST, claim, results


class World:
    """A project with files, bases and jobs, and a resolver that sees them."""

    def __init__(self, directory: Path) -> None:
        self.settings: Settings = make_settings(directory)
        self.directory = directory
        self.database: Database
        self.database, self.store, self.project_id, _ = prepare(self.settings)
        add_base(self.database, self.store)

    def file(self, data: bytes, purpose: str = "fine-tune") -> str:
        path = self.directory / new_id("zip")
        path.write_bytes(data)
        structure = inspect(path, Limits.from_settings(self.settings)).model_dump(mode="json")
        version = new_id("version")
        with self.database.write() as session:
            datasets.create(
                session,
                self.project_id,
                version,
                archive_key=f"files/{version}",
                archive_size=len(data),
                archive_sha256=version,
                structure=structure,
                index_key=f"datasets/{version}",
            )
            return files.create(
                session,
                self.project_id,
                filename="a.zip",
                purpose=purpose,
                size=len(data),
                sha256=version,
                object_key=f"files/{version}",
                dataset_version=version,
                structure=structure,
            ).id

    def resolve(self, **fields: Any) -> JobSpec:
        request = JobRequest.model_validate({"model": "base:tiny", **fields})
        with self.database.read() as session:
            return resolve_job(
                request,
                lookup=RecordsLookup(session, self.project_id),
                settings=self.settings,
                job_id=new_id("ftjob"),
            )

    def refused(self, **fields: Any) -> InvalidRequest:
        with pytest.raises(InvalidRequest) as caught:
            self.resolve(**fields)
        return caught.value

    def finished_job(self, **fields: Any) -> tuple[str, str]:
        """(job id, model id) of a training job that succeeded."""
        spec = self.resolve(**fields)
        request = {"model": "base:tiny", "training_file": fields["training_file"]}
        with self.database.write() as session:
            jobs.create(session, self.project_id, spec, request)
            for reference in spec.datasets:
                datasets.mark_checked(session, self.project_id, reference.version, "index", {})
        held = claim(self.database)
        assert held.job_id == spec.job_id
        with self.database.write() as session:
            publishing.publish(session, held, results(held), max_attempts=MOST)
        return spec.job_id, spec.model_id
