"""Parts that a client writes into the object store by itself: the API sees none of their bytes.

A signed address lets anybody write anything of any size there until it runs out, so a part counts
only when it has been confirmed, with its size as the store says it, and its digest is checked when
the upload is completed. It lies apart from parts that came through the API: those are trusted.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from api.auth import Authenticated, Principal, needs
from api.bodies import described, json_body
from api.errors import documented
from api.routes.uploads import keep_row
from api.schemas.uploads import SignedPart, SignPart, UploadPartObject, part_object
from api.services import InServices, Services
from core.errors import Conflict, InvalidRequest, NotFound
from core.records import audit, upload_parts, uploads
from core.records.tables import Upload, UploadPart

SECONDS = 3600.0  # that an address can be written to

router = APIRouter(prefix="/uploads", tags=["uploads"])


@router.post(
    "/{upload_id}/parts:sign",
    dependencies=[needs("files:write")],
    openapi_extra=described(SignPart),
    responses=documented(409, 413),
)
def sign_part(
    upload_id: str,
    body: Annotated[SignPart, Depends(json_body(SignPart))],
    principal: Authenticated,
    services: InServices,
) -> SignedPart:
    """An address in the object store. PUT the part's bytes there, then confirm it. Only a service
    whose store is S3 has such addresses; the others take `POST /v1/uploads/{upload_id}/parts`."""
    upload, _ = _look(services, principal, upload_id, body)
    with services.database.write() as session:
        until = uploads.note_signature(session, upload.id, SECONDS)
        audit.note(session, principal.actor, "upload.sign", upload.id)
    url = services.store.sign_put(_key(upload, body), SECONDS)
    return SignedPart(
        upload_id=upload.id,
        part_number=body.part_number,
        bytes=body.bytes,
        sha256=body.sha256,
        url=url,
        expires_at=int(until),
    )


@router.post(
    "/{upload_id}/parts:confirm",
    dependencies=[needs("files:write")],
    openapi_extra=described(SignPart),
    responses=documented(409, 413, 507),
)
def confirm_part(
    upload_id: str,
    body: Annotated[SignPart, Depends(json_body(SignPart))],
    principal: Authenticated,
    services: InServices,
) -> UploadPartObject:
    """The part is where its address said. Send what was signed; a part confirmed twice is one.
    Whether its bytes have that digest is checked when the upload is completed."""
    upload, found = _look(services, principal, upload_id, body)
    if found is None:
        key = _key(upload, body)
        _check_arrived(services, body, key)
        found = keep_row(
            services, principal, upload, body.part_number, body.bytes, body.sha256, key
        )
    return part_object(found)


def _look(
    services: Services, principal: Principal, upload_id: str, wanted: SignPart
) -> tuple[Upload, UploadPart | None]:
    """The upload, and the part where it is there already. Refuses what cannot become a part."""
    with services.database.read() as session:
        upload = uploads.get(session, principal.project_id, upload_id)
        if not services.store.can_sign:
            raise InvalidRequest(
                "The store of this service is a directory, and nobody else can write to it. Send "
                f"the part to POST /v1/uploads/{upload_id}/parts.",
                code="store_cannot_sign",
            )
        found = upload_parts.find(
            session, upload, number=wanted.part_number, size=wanted.bytes, sha256=wanted.sha256
        )
    return upload, found


def _key(upload: Upload, part: SignPart) -> str:
    return f"{upload_parts.signed_prefix(upload.id)}/{part.sha256}"


def _check_arrived(services: Services, wanted: SignPart, key: str) -> None:
    try:
        size = services.store.head(key).size
    except NotFound:
        raise Conflict(
            "Nothing was written to the part's address yet. PUT its bytes there, then confirm it.",
            code="part_not_there",
        ) from None
    if size != wanted.bytes:
        raise Conflict(
            f"At the part's address are {size} bytes, not {wanted.bytes}. PUT the whole part there "
            "again, then confirm it.",
            code="wrong_size",
            param="bytes",
        )
