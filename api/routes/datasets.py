"""Datasets: what is in the archives that were uploaded."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from api.auth import Authenticated, Principal, needs
from api.bodies import described, json_body
from api.contact_sheets import contact_sheet
from api.downloads import documented_download, download
from api.errors import documented
from api.gathering import Member, fetch, gather
from api.intake import Kept, keep
from api.multipart import clean_filename
from api.schemas.datasets import (
    CreateDataset,
    DatasetObject,
    DatasetSummary,
    ImageOfDataset,
    dataset_object,
    dataset_summary,
)
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices, Services
from api.spool import SpoolFile, spool_file
from api.uploads import IMAGE_PURPOSE, Upload
from core.errors import InvalidRequest
from core.records import datasets, files
from core.records.tables import DatasetVersion, File
from core.validation import shown

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.post(
    "",
    dependencies=[needs("files:write")],
    openapi_extra=described(CreateDataset),
    responses=documented(413, 507),
)
async def create_dataset(
    body: Annotated[CreateDataset, Depends(json_body(CreateDataset))],
    principal: Authenticated,
    services: InServices,
) -> DatasetObject:
    """A dataset of images that were uploaded one by one (purpose `vision`), or of what lies in S3.
    It becomes a file as if its archive had been uploaded, and the answer waits for that."""
    if (body.images is None) == (body.source is None):
        raise InvalidRequest(
            "images and source are both given or both missing; send one of them.",
            code="images_or_source",
            param="images",
        )
    with spool_file(services.settings.spool_directory) as spool:
        if body.source is not None:
            await run_in_threadpool(fetch, services, body.source, spool)
        else:
            await run_in_threadpool(_gather, services, principal, body.images or [], spool)
        filename = clean_filename(body.filename)
        upload = Upload(spool.path, spool.size, spool.sha256, filename, body.purpose)
        try:
            kept = await keep(services, principal, upload)
        except InvalidRequest as error:
            if error.param == "file":
                error.param = "images" if body.source is None else "source"
            raise
        file = await run_in_threadpool(_record, services, kept)
    assert file.dataset_version is not None
    return await run_in_threadpool(retrieve_dataset, file.dataset_version, principal, services)


@router.get("", dependencies=[needs("files:read")])
def list_datasets(
    principal: Authenticated,
    services: InServices,
    filename: Annotated[
        str | None, Query(max_length=255, description="Versions of files of that name.")
    ] = None,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[DatasetSummary]:
    """One page of the versions that the project's files hold."""
    with services.database.read() as session:
        page = datasets.list_datasets(
            session,
            principal.project_id,
            filename=filename,
            after=after,
            order=order,
            limit=limit,
        )
        files = datasets.files_of(session, principal.project_id, [row.id for row in page.items])
    return list_of([dataset_summary(row, files[row.id]) for row in page.items], page.has_more)


@router.get("/{dataset_id}", dependencies=[needs("files:read")])
def retrieve_dataset(
    dataset_id: str, principal: Authenticated, services: InServices
) -> DatasetObject:
    """One version: splits, classes, groups, and what a check found."""
    with services.database.read() as session:
        row = datasets.get_listed(session, principal.project_id, dataset_id)
        files = datasets.files_of(session, principal.project_id, [row.id])
    return dataset_object(row, files[row.id])


@router.get(
    "/{dataset_id}/contact-sheet",
    dependencies=[needs("files:read")],
    response_class=Response,
    responses={**documented_download("image/jpeg"), **documented(413)},
)
async def download_contact_sheet(
    dataset_id: str,
    request: Request,
    principal: Authenticated,
    services: InServices,
    split: Annotated[str, Query(max_length=64)],
) -> Response:
    """Up to 96 images of a split on one picture, by class. The first request waits for it to be
    drawn."""
    version = await run_in_threadpool(_get, services, principal, dataset_id)
    stored = await contact_sheet(services, version, split)
    return await run_in_threadpool(download, request, services.store, stored)


def _get(services: Services, principal: Principal, dataset_id: str) -> DatasetVersion:
    with services.database.read() as session:
        return datasets.get_listed(session, principal.project_id, dataset_id)


def _gather(
    services: Services, principal: Principal, images: list[ImageOfDataset], spool: SpoolFile
) -> None:
    """Images are called by their files' ids, so that a report of one leads back to it."""
    with services.database.read() as session:
        found = files.get_many(session, principal.project_id, [image.file_id for image in images])
    members = []
    for number, image in enumerate(images):
        file = found.get(image.file_id)
        if file is None or file.purpose != IMAGE_PURPOSE:
            raise InvalidRequest(
                f"There is no file {shown(image.file_id)} of the purpose {IMAGE_PURPOSE!r}; upload "
                "each image with it first.",
                code="unknown_image",
                param=f"images.{number}.file_id",
            )
        name = f"{image.split}/{image.label}/{image.file_id}"
        members.append(Member(name, services.store, file.object_key, file.bytes, needs_suffix=True))
    gather(members, spool, services.settings)


def _record(services: Services, kept: Kept) -> File:
    with services.database.write() as session:
        return kept.record(session)
