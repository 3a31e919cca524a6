"""A split's contact sheet: drawn when somebody asks for it first, and kept as an object.

By a process of its own, since hostile images are decoded for it. Two requests at once may draw it
twice; equal archives give equal sheets.
"""

from __future__ import annotations

from anyio import to_thread
from starlette.concurrency import run_in_threadpool

from api.downloads import Stored
from api.services import Services
from api.spool import on_disk, spool_file
from core.datasets.apart import draw_apart
from core.datasets.limits import Limits
from core.datasets.structure import Structure
from core.errors import InvalidRequest, NotFound, StorageFault
from core.records.tables import DatasetVersion
from core.validation import shown

REVISION = 1  # of how a sheet looks: raise it, and sheets are drawn again


async def contact_sheet(services: Services, version: DatasetVersion, split: str) -> Stored:
    """The stored picture, a JPEG. Raises InvalidRequest for a split that there is not."""
    structure = Structure.model_validate(version.structure)
    if split not in structure.splits:
        raise InvalidRequest(
            f"The data set has no split {shown(split)}; it has {', '.join(structure.splits)}.",
            code="unknown_split",
            param="split",
        )
    folder = f"datasets/{version.project_id}/{version.id}/contact-sheets-{REVISION}"
    key = f"{folder}/{split}.jpg"
    found = await run_in_threadpool(_stored, services, key, version, split)
    if found is not None:
        return found
    await to_thread.run_sync(
        _draw, services, version, structure, split, key, limiter=services.inspections
    )
    found = await run_in_threadpool(_stored, services, key, version, split)
    assert found is not None
    return found


def _stored(services: Services, key: str, version: DatasetVersion, split: str) -> Stored | None:
    try:
        size = services.store.head(key).size
    except NotFound:
        return None
    identity = f"{version.id}-{split}-{REVISION}"
    return Stored(key, size, identity, f"{split}.jpg", "image/jpeg")


def _draw(
    services: Services, version: DatasetVersion, structure: Structure, split: str, key: str
) -> None:
    limits = Limits.from_settings(services.settings)
    directory = services.settings.spool_directory
    try:
        with (
            on_disk(services.store, version.archive_key, directory) as archive,
            spool_file(directory) as sheet,
        ):
            draw_apart(archive, structure, split, limits, sheet.path)
            services.store.put_file(key, sheet.path)
    except NotFound as error:
        raise StorageFault("The stored archive is missing; tell the operator.") from error
