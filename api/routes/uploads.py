"""Uploads in parts: for files that one request should not have to carry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from api import completion
from api.auth import Authenticated, Principal, needs
from api.bodies import described, json_body
from api.errors import documented
from api.intake import check_room
from api.multipart import clean_filename
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.schemas.uploads import (
    CompleteUpload,
    CreateUpload,
    Status,
    UploadObject,
    UploadPartObject,
    part_object,
    upload_object,
)
from api.services import InServices, Services
from api.spool import require_space
from api.uploads import Part, receive_part, require_purpose
from core.errors import Conflict, TooLarge
from core.records import audit, upload_parts, uploads
from core.records.tables import Upload, UploadPart

router = APIRouter(prefix="/uploads", tags=["uploads"])

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["data"],
                    "additionalProperties": False,
                    "properties": {
                        "data": {"type": "string", "format": "binary", "minLength": 1},
                        "part_number": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": upload_parts.MAX_PARTS,
                        },
                        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    },
                }
            }
        },
    }
}


@router.post(
    "",
    dependencies=[needs("files:write")],
    openapi_extra=described(CreateUpload),
    responses=documented(413, 507),
)
def create_upload(
    body: Annotated[CreateUpload, Depends(json_body(CreateUpload))],
    principal: Authenticated,
    services: InServices,
) -> UploadObject:
    """Announce a file. It must be completed before `expires_at`."""
    require_purpose(body.purpose)
    settings = services.settings
    if body.bytes > settings.max_file_bytes:
        raise TooLarge(
            f"bytes is {body.bytes}; the most is {settings.max_file_bytes}. Split the data set.",
            code="file_too_large",
            param="bytes",
        )
    require_space(settings.spool_directory, body.bytes)
    check_room(services, principal, body.bytes)
    with services.database.write() as session:
        row = uploads.create(
            session,
            principal.project_id,
            filename=clean_filename(body.filename),
            purpose=body.purpose,
            mime_type=body.mime_type,
            size=body.bytes,
            seconds=settings.upload_seconds,
        )
        audit.note(session, principal.actor, "upload.create", row.id)
    return upload_object(row)


@router.get("", dependencies=[needs("files:read")])
def list_uploads(
    principal: Authenticated,
    services: InServices,
    status: Annotated[Status | None, Query()] = None,
    filename: Annotated[str | None, Query(max_length=255)] = None,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[UploadObject]:
    """One page of the project's uploads: where a client that lost its ids finds them again."""
    with services.database.read() as session:
        page = uploads.list_uploads(
            session,
            principal.project_id,
            status=status,
            filename=filename,
            after=after,
            order=order,
            limit=limit,
        )
    return list_of([upload_object(row) for row in page.items], page.has_more)


@router.get("/{upload_id}", dependencies=[needs("files:read")])
def retrieve_upload(upload_id: str, principal: Authenticated, services: InServices) -> UploadObject:
    """One upload, with the file it became."""
    upload = _get(services, principal, upload_id)
    return upload_object(upload, completion.file_of(services, upload))


@router.post(
    "/{upload_id}/parts",
    dependencies=[needs("files:write")],
    openapi_extra=_FORM,
    responses=documented(409, 413, 507),
)
async def add_part(
    upload_id: str, request: Request, principal: Authenticated, services: InServices
) -> UploadPartObject:
    """Send a part, in any order. With a `part_number` an equal part sent again is the same part;
    without one, equal bytes are one part, which `part_ids` may name several times."""
    upload = await run_in_threadpool(_get, services, principal, upload_id)
    uploads.require_pending(upload)
    async with receive_part(request, services.settings, upload.bytes) as part:
        row = await run_in_threadpool(_keep_part, services, principal, upload, part)
    return part_object(row)


@router.get("/{upload_id}/parts", dependencies=[needs("files:read")])
def list_parts(
    upload_id: str,
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = 1000,
    order: Order = "asc",
) -> ListOf[UploadPartObject]:
    """One page of the parts that have arrived: what a client need not send again."""
    with services.database.read() as session:
        page = upload_parts.list_parts(
            session, principal.project_id, upload_id, after=after, order=order, limit=limit
        )
    return list_of([part_object(row) for row in page.items], page.has_more)


@router.post(
    "/{upload_id}/complete",
    dependencies=[needs("files:write")],
    openapi_extra=described(CompleteUpload),
    responses=documented(409, 413, 507),
)
async def complete_upload(
    upload_id: str,
    body: Annotated[CompleteUpload, Depends(json_body(CompleteUpload))],
    principal: Authenticated,
    services: InServices,
) -> UploadObject:
    """The parts become a file, checked and stored as `POST /v1/files` does. A refusal leaves the
    upload as it is."""
    upload = await completion.complete(services, principal, upload_id, body)
    file = await run_in_threadpool(completion.file_of, services, upload)
    return upload_object(upload, file)


@router.post("/{upload_id}/cancel", dependencies=[needs("files:write")], responses=documented(409))
def cancel_upload(upload_id: str, principal: Authenticated, services: InServices) -> UploadObject:
    """Nothing of it is kept."""
    with services.database.write() as session:
        row = uploads.cancel(session, principal.project_id, upload_id)
        audit.note(session, principal.actor, "upload.cancel", upload_id)
    return upload_object(row)


def keep_row(
    services: Services,
    principal: Principal,
    upload: Upload,
    number: int | None,
    size: int,
    sha256: str,
    object_key: str,
) -> UploadPart:
    """The row of a part whose object is stored. Raises Conflict, and the object is gone, when the
    upload has ended meanwhile."""
    try:
        with services.database.write() as session:
            row = upload_parts.add(
                session,
                upload.project_id,
                upload.id,
                number=number,
                size=size,
                sha256=sha256,
                object_key=object_key,
            )
            audit.note(session, principal.actor, "upload.part", upload.id)
            return row
    except Conflict:
        _forget_if_ended(services, upload, object_key)
        raise


def _get(services: Services, principal: Principal, upload_id: str) -> Upload:
    with services.database.read() as session:
        return uploads.get(session, principal.project_id, upload_id)


def _keep_part(services: Services, principal: Principal, upload: Upload, part: Part) -> UploadPart:
    """Stored first, named then. Equal parts of an upload are one object, whatever their number."""
    with services.database.read() as session:
        found = upload_parts.find(
            session, upload, number=part.number, size=part.size, sha256=part.sha256
        )
    if found is not None:
        return found
    key = f"uploads/{upload.id}/{part.sha256}"
    if not services.store.exists(key):
        services.store.take_file(key, part.path, part.sha256)
    return keep_row(services, principal, upload, part.number, part.size, part.sha256, key)


def _forget_if_ended(services: Services, upload: Upload, key: str) -> None:
    """The sweeper deletes what an ended upload left, and may have been here before this part."""
    with services.database.read() as session:
        found = uploads.get(session, upload.project_id, upload.id)
        is_named = upload_parts.is_named(session, upload.id, key)
    if found.status != "pending" and not is_named:
        services.store.delete(key)
