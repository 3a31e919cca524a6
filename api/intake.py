"""From a whole file on the spool to a row: checked, stored once, and only then named.

Every way in ends here: `POST /v1/files`, an upload in parts, an import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.concurrency import run_in_threadpool

from api.auth import Principal
from api.services import Services
from api.uploads import IMAGE_PURPOSE, Upload
from core.datasets.apart import inspect_apart
from core.datasets.image_kinds import FORMATS, HEAD_BYTES, suffix_of
from core.datasets.limits import Limits
from core.errors import InvalidRequest, NotFound, TooLarge
from core.records import audit, datasets, deletion, files, quotas
from core.records.clock import read_clock
from core.records.tables import File
from core.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Kept:
    """A stored file that has no row yet."""

    upload: Upload
    principal: Principal  # whose it is
    object_key: str
    structure: dict[str, Any] | None  # of an archive
    since: float  # when it was looked whether the object is there, on the database's clock

    def record(self, session: Session) -> File:
        """The file's row, and its dataset version's where it is an archive. Raises
        QuotaExceeded, and Unavailable while equal content that was deleted is being removed."""
        upload, is_archive = self.upload, self.structure is not None
        project_id, key_id = self.principal.project_id, self.principal.key_id
        quotas.check_bytes(session, project_id, key_id, upload.size, self.object_key)
        if self.structure is not None:
            datasets.create(
                session,
                project_id,
                upload.sha256,
                archive_key=self.object_key,
                archive_size=upload.size,
                archive_sha256=upload.sha256,
                structure=self.structure,
                index_key=f"datasets/{project_id}/{upload.sha256}/index.parquet",
            )
        row = files.create(
            session,
            project_id,
            filename=upload.filename,
            purpose=upload.purpose,
            size=upload.size,
            sha256=upload.sha256,
            object_key=self.object_key,
            dataset_version=upload.sha256 if is_archive else None,
            structure=self.structure,
            key_id=key_id,
        )
        named = [self.object_key, f"datasets/{project_id}/{upload.sha256}"]
        deletion.require_not_doomed(session, named, self.since)
        audit.note(session, self.principal.actor, "file.create", row.id)
        return row


async def keep(services: Services, principal: Principal, upload: Upload) -> Kept:
    """Check the file and store it. Raises InvalidRequest, TooLarge, QuotaExceeded and StorageFault.

    Equal content is stored once in a project: its key is its digest.
    """
    if upload.purpose == IMAGE_PURPOSE:
        await run_in_threadpool(_check_image, upload, services.settings)
    structure = await _inspected(services, upload) if upload.is_archive else None
    key = f"files/{principal.project_id}/{upload.sha256}"
    since = await run_in_threadpool(check_room, services, principal, upload.size, key)
    await run_in_threadpool(_store, services, key, upload)
    return Kept(upload, principal, key, structure, since)


def check_room(
    services: Services, principal: Principal, size: int, key: str | None = None
) -> float:
    """Before anything is stored; it is asked again, for certain, when the row is written. The time
    on the database's clock. Raises QuotaExceeded."""
    owner = principal.project_id, principal.key_id
    with services.database.read() as session:
        quotas.check_bytes(session, *owner, size, key, lock=False)
        return read_clock(session)


async def _inspected(services: Services, upload: Upload) -> dict[str, Any]:
    limits = Limits.from_settings(services.settings)
    try:
        structure = await to_thread.run_sync(
            inspect_apart, upload.path, limits, limiter=services.inspections
        )
    except InvalidRequest as error:
        error.param = error.param or "file"
        raise
    return structure.model_dump(mode="json")


def _check_image(upload: Upload, settings: Settings) -> None:
    """By its first bytes, as an archive is by its names: whether it can be decoded is seen when
    a job reads it."""
    if upload.size > settings.max_image_bytes:
        raise TooLarge(
            f"The image has {upload.size} bytes; the most is {settings.max_image_bytes}.",
            code="image_too_large",
            param="file",
        )
    with upload.path.open("rb") as file:
        start = file.read(HEAD_BYTES)
    if suffix_of(start) is None:
        raise InvalidRequest(
            f"The file is no image that is read here (it starts {start!r}); send one of "
            f"{', '.join(FORMATS)}, or with the purpose 'user_data' anything.",
            code="unknown_image_format",
            param="file",
        )


def _store(services: Services, key: str, upload: Upload) -> None:
    try:
        if services.store.head(key).size == upload.size:
            return
    except NotFound:
        pass
    services.store.take_file(key, upload.path, upload.sha256)
