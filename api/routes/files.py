"""Files: archives of images on their way in, result files on their way out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from api.auth import Authenticated, Principal
from api.downloads import Stored, download
from api.errors import documented
from api.idempotency import Doing, once
from api.schemas.files import FileDeleted, FileObject, file_object
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices, Services
from api.uploads import PURPOSES, Upload, receive_upload
from core.datasets.limits import Limits
from core.datasets.structure import inspect
from core.errors import InvalidRequest, NotFound, StorageFault
from core.objects import ObjectStore
from core.records import datasets, files
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
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(PURPOSES)},
                    },
                }
            }
        },
    }
}


@router.post("", openapi_extra=_FORM, responses=documented(409, 413, 507))
async def upload_file(
    request: Request, principal: Authenticated, services: InServices
) -> FileObject:
    """Streams the file to storage. A refused file leaves nothing behind."""
    async with receive_upload(request, services.settings) as upload:
        return await run_in_threadpool(_keep_once, request, services, principal, upload)


@router.get("")
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


@router.get("/{file_id}")
def retrieve_file(file_id: str, principal: Authenticated, services: InServices) -> FileObject:
    """One file."""
    return file_object(_get(services, principal, file_id))


@router.get(
    "/{file_id}/content",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        206: {"content": {"application/octet-stream": {}}},
        **documented(416, 507),
    },
)
def download_file(
    file_id: str, request: Request, principal: Authenticated, services: InServices
) -> Response:
    """The file's bytes; a Range is honoured."""
    row = _get(services, principal, file_id)
    stored = Stored(row.object_key, row.bytes, row.sha256, row.filename)
    return download(request, services.store, stored)


@router.delete("/{file_id}")
def delete_file(file_id: str, principal: Authenticated, services: InServices) -> FileDeleted:
    """The file is gone for its project; jobs that were made from it are not."""
    with services.database.write() as session:
        files.delete(session, principal.project_id, file_id)
    return FileDeleted(id=file_id)


def _get(services: Services, principal: Principal, file_id: str) -> File:
    with services.database.read() as session:
        return files.get(session, principal.project_id, file_id, param="file_id")


def _keep_once(
    request: Request, services: Services, principal: Principal, upload: Upload
) -> FileObject:
    fields = {"purpose": upload.purpose, "filename": upload.filename, "sha256": upload.sha256}
    with once(request, services, principal, fields) as doing:
        return _keep(services, principal, upload, doing)


def _keep(services: Services, principal: Principal, upload: Upload, doing: Doing) -> FileObject:
    """Checked, stored, and only then a row: a row never names what is not there."""
    dataset = _inspected(services, upload)
    key = f"files/{principal.project_id}/{upload.sha256}"
    _store(services.store, key, upload)
    with services.database.write() as session:
        if dataset is not None:
            datasets.create(
                session,
                principal.project_id,
                upload.sha256,
                archive_key=key,
                archive_size=upload.size,
                archive_sha256=upload.sha256,
                structure=dataset,
                index_key=f"datasets/{principal.project_id}/{upload.sha256}/index.parquet",
            )
        row = files.create(
            session,
            principal.project_id,
            filename=upload.filename,
            purpose=upload.purpose,
            size=upload.size,
            sha256=upload.sha256,
            object_key=key,
            dataset_version=None if dataset is None else upload.sha256,
            structure=dataset,
        )
        answer = file_object(row)
        doing.answer(session, answer)
    return answer


def _inspected(services: Services, upload: Upload) -> dict[str, Any] | None:
    if not upload.is_archive:
        return None
    try:
        structure = inspect(upload.path, Limits.from_settings(services.settings))
    except InvalidRequest as error:
        error.param = error.param or "file"
        raise
    return structure.model_dump(mode="json")


def _store(store: ObjectStore, key: str, upload: Upload) -> None:
    """Equal content is stored once: its key is its digest."""
    try:
        if store.head(key).size == upload.size:
            return
    except NotFound:
        pass
    stored = store.put_file(key, upload.path)
    if stored.sha256 != upload.sha256:
        store.delete(key)
        raise StorageFault("The upload changed on its way from the spool to the store; retry.")
