"""The parts of an upload become one file.

They are read from the store in their order into one file on the spool, which then goes the way
of every file. That takes long for a large one, and clients repeat a request whose answer they
did not see: one request at a time does the work, the others wait for what it makes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

from starlette.concurrency import run_in_threadpool

from api.auth import Principal
from api.intake import Kept, keep
from api.schemas.uploads import CompleteUpload
from api.services import Services
from api.spool import SpoolFile, require_space, spool_file
from api.uploads import Upload as WholeFile
from core.errors import InvalidRequest, NotFound, ServiceError, StorageFault, Unavailable
from core.objects import ObjectStore
from core.records import files, upload_parts, uploads
from core.records.tables import File, Upload, UploadPart

CLAIM_SECONDS = 30.0  # a process that died in the middle is waited for no longer
LOOK_SECONDS = 0.5  # between looks at a completion that another request works on
PATIENCE = 300.0  # seconds of looking; then the client is told to come back


async def complete(
    services: Services, principal: Principal, upload_id: str, wanted: CompleteUpload
) -> Upload:
    """The completed upload; completing twice is completing once.

    Raises Conflict when it was cancelled or is late; InvalidRequest, with the upload left as it
    is, when the parts are not the file that was announced or not a file that is accepted.
    """
    for _ in range(int(PATIENCE / LOOK_SECONDS)):
        upload = await run_in_threadpool(_claimed, services, principal.project_id, upload_id)
        if upload is None:
            await asyncio.sleep(LOOK_SECONDS)
            continue
        if upload.status == "completed":
            return upload
        async with _keeping_the_claim(services, upload_id):
            return await _put_together(services, principal, upload, wanted)
    raise Unavailable(
        f"The parts of {upload_id} are still being put together; ask for it again.",
        code="completion_in_progress",
    )


def file_of(services: Services, upload: Upload) -> File | None:
    """The file of a completed upload, unless it was deleted since."""
    if upload.file_id is None:
        return None
    with suppress(NotFound), services.database.read() as session:
        return files.get(session, upload.project_id, upload.file_id)
    return None


def _claimed(services: Services, project_id: str, upload_id: str) -> Upload | None:
    """The upload, completed or ours to complete; None while somebody else works on it."""
    with services.database.write() as session:
        upload = uploads.get(session, project_id, upload_id)
        if upload.status == "completed":
            return upload
        uploads.require_pending(upload)
        if not uploads.claim_completion(session, project_id, upload_id, CLAIM_SECONDS):
            return None
        return upload


@asynccontextmanager
async def _keeping_the_claim(services: Services, upload_id: str) -> AsyncIterator[None]:
    """Renewed while the block works, given up when it ends."""

    def set_claim(seconds: float | None) -> None:
        with suppress(Unavailable), services.database.write() as session:
            uploads.set_claim(session, upload_id, seconds)

    async def renew() -> None:
        while True:
            await asyncio.sleep(CLAIM_SECONDS / 3)
            await run_in_threadpool(set_claim, CLAIM_SECONDS)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing  # a renewal under way would undo what follows
        await run_in_threadpool(set_claim, None)


async def _put_together(
    services: Services, principal: Principal, upload: Upload, wanted: CompleteUpload
) -> Upload:
    parts = await run_in_threadpool(_parts, services, upload, wanted.part_ids)
    spool_directory = services.settings.spool_directory
    require_space(spool_directory, upload.bytes)
    with spool_file(spool_directory) as spool:
        await run_in_threadpool(_assemble, services.store, parts, spool, wanted)
        whole = WholeFile(spool.path, spool.size, spool.sha256, upload.filename, upload.purpose)
        try:
            kept = await keep(services, principal, whole)
        except ServiceError as error:
            error.param = None if error.param == "file" else error.param
            raise
        return await run_in_threadpool(_record, services, upload, kept)


def _parts(services: Services, upload: Upload, part_ids: list[str] | None) -> list[UploadPart]:
    with services.database.read() as session:
        return upload_parts.in_order(session, upload, part_ids)


def _assemble(
    store: ObjectStore, parts: list[UploadPart], spool: SpoolFile, wanted: CompleteUpload
) -> None:
    md5 = hashlib.md5(usedforsecurity=False) if wanted.md5 is not None else None

    def chunks() -> Iterator[bytes]:
        for part in parts:
            for chunk in _whole(store, part):
                if md5 is not None:
                    md5.update(chunk)
                yield chunk

    spool.write_all(chunks())
    spool.finish()
    if md5 is not None:
        _require_equal("md5", wanted.md5, md5.hexdigest())
    _require_equal("sha256", wanted.sha256, spool.sha256)


def _whole(store: ObjectStore, part: UploadPart) -> Iterator[bytes]:
    """The part's bytes. Those that a client wrote may change until the last has been read."""
    digest = hashlib.sha256() if upload_parts.is_signed(part) else None
    missing = part.bytes
    for chunk in _stored(store, part):
        missing -= len(chunk)
        if missing < 0:
            break
        if digest is not None:
            digest.update(chunk)
        yield chunk
    if digest is not None and (missing or digest.hexdigest() != part.sha256):
        raise InvalidRequest(
            f"What was written to the address of {part.id} is not the {part.bytes} bytes with the "
            f"sha256 {part.sha256} that were announced. Sign that part again, PUT it there again "
            "and complete the upload then.",
            code="digest_differs",
            param="part_ids",
        )
    if missing:
        raise _incomplete(part)


def _stored(store: ObjectStore, part: UploadPart) -> Iterator[bytes]:
    try:
        return store.read(part.object_key)
    except NotFound as error:
        raise _incomplete(part) from error


def _incomplete(part: UploadPart) -> StorageFault:
    return StorageFault(f"The stored bytes of {part.id} are not all there; try again.")


def _require_equal(name: str, expected: str | None, found: str) -> None:
    if expected is not None and expected.lower() != found:
        raise InvalidRequest(
            f"The parts in this order have the {name} {found}, not {expected}. Check their order "
            "and content.",
            code="digest_differs",
            param=name,
        )


def _record(services: Services, upload: Upload, kept: Kept) -> Upload:
    with services.database.write() as session:
        file = kept.record(session)
        return uploads.complete(session, upload.project_id, upload.id, file.id)
