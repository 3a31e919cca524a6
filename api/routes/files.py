"""Files: archives of images on their way in, result files on their way out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from api.auth import Authenticated, Principal, needs
from api.downloads import Stored, documented_download, download
from api.errors import documented
from api.idempotency import Doing, once_awaited
from api.intake import Kept, check_room, keep
from api.schemas.files import FileDeleted, FileObject, file_object
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices, Services
from api.uploads import PURPOSES, receive_upload
from core.records import audit, files
from core.records.tables import File

router = APIRouter(prefix="/files", tags=["files"])

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(PURPOSES)},
                    },
                }
            }
        },
    }
}


@router.post(
    "",
    dependencies=[needs("files:write")],
    openapi_extra=_FORM,
    responses=documented(409, 413, 507),
)
async def upload_file(
    request: Request, principal: Authenticated, services: InServices
) -> FileObject:
    """Streams the file to storage. A refused file leaves nothing behind."""
    await run_in_threadpool(check_room, services, principal, 1)
    async with receive_upload(request, services.settings) as upload:
        fields = {"purpose": upload.purpose, "filename": upload.filename, "sha256": upload.sha256}
        async with once_awaited(request, services, principal, fields) as doing:
            kept = await keep(services, principal, upload)
            return await run_in_threadpool(_record, services, kept, doing)


@router.get("", dependencies=[needs("files:read")])
def list_files(
    principal: Authenticated,
    services: InServices,
    purpose: Annotated[str | None, Query(max_length=64)] = None,
    after: After = None,
    limit: Limit = 100,
    order: Order = "desc",
) -> ListOf[FileObject]:
    """One page of the project's files."""
    with services.database.read() as session:
        page = files.list_files(
            session,
            principal.project_id,
            purpose=purpose,
            after=after,
            order=order,
            limit=limit,
        )
    return list_of([file_object(row) for row in page.items], page.has_more)


@router.get("/{file_id}", dependencies=[needs("files:read")])
def retrieve_file(file_id: str, principal: Authenticated, services: InServices) -> FileObject:
    """One file."""
    return file_object(_get(services, principal, file_id))


@router.get(
    "/{file_id}/content",
    dependencies=[needs("files:read")],
    response_class=Response,
    responses=documented_download("application/octet-stream"),
)
def download_file(
    file_id: str, request: Request, principal: Authenticated, services: InServices
) -> Response:
    """The file's bytes; a Range is honoured."""
    row = _get(services, principal, file_id)
    stored = Stored(row.object_key, row.bytes, row.sha256, row.filename)
    return download(request, services.store, stored)


@router.delete("/{file_id}", dependencies=[needs("files:write")])
def delete_file(file_id: str, principal: Authenticated, services: InServices) -> FileDeleted:
    """The file is gone for its project; jobs that were made from it are not."""
    with services.database.write() as session:
        files.delete(session, principal.project_id, file_id)
        audit.note(session, principal.actor, "file.delete", file_id)
    return FileDeleted(id=file_id)


def _get(services: Services, principal: Principal, file_id: str) -> File:
    with services.database.read() as session:
        return files.get(session, principal.project_id, file_id, param="file_id")


def _record(services: Services, kept: Kept, doing: Doing) -> FileObject:
    with services.database.write() as session:
        answer = file_object(kept.record(session))
        doing.answer(session, answer)
    return answer
