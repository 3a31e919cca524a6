"""The parts of an upload that have arrived.

A part's bytes are an object before its row is written, so a row never names what is not there.
"""

from __future__ import annotations

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidRequest, TooLarge
from core.ids import new_id
from core.records import uploads
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import every, first
from core.records.tables import Upload, UploadPart

MAX_PARTS = 10_000


def signed_prefix(upload_id: str) -> str:
    """Where the objects of parts lie that clients wrote by themselves."""
    return f"uploads/{upload_id}/signed"


def is_signed(part: UploadPart) -> bool:
    """Whether the client wrote the part's bytes, so that nobody knows yet if they are the ones
    whose digest it gave."""
    return part.object_key.startswith(f"{signed_prefix(part.upload_id)}/")


def find(
    session: Session, upload: Upload, *, number: int | None, size: int, sha256: str
) -> UploadPart | None:
    """The part that is there already when an equal one came before.

    Raises Conflict when the upload has ended or its part of that number has other content, and
    TooLarge when there would be more bytes than announced or too many parts.
    """
    uploads.require_pending(upload)
    found = _part_in(session, upload.id, _slot(number, sha256))
    if found is None:
        _check_room(session, upload, size)
    elif found.sha256 != sha256:
        raise Conflict(
            f"Part {number} of {upload.id} is there with other content (sha256 {found.sha256}, "
            f"not {sha256}). Send it under another number, or cancel the upload.",
            code="part_differs",
            param="part_number",
        )
    return found


def add(
    session: Session,
    project_id: str,
    upload_id: str,
    *,
    number: int | None,
    size: int,
    sha256: str,
    object_key: str,
) -> UploadPart:
    """The row of a part whose object is stored. Raises as `find` does."""
    upload = uploads.hold(session, project_id, upload_id)
    found = find(session, upload, number=number, size=size, sha256=sha256)
    if found is not None:
        return found
    row = first(
        session,
        insert(UploadPart)
        .values(
            id=new_id("part"),
            upload_id=upload_id,
            project_id=project_id,
            slot=_slot(number, sha256),
            number=number,
            bytes=size,
            sha256=sha256,
            object_key=object_key,
            created_at=now(),
        )
        .returning(UploadPart),
        UploadPart,
    )
    assert row is not None
    return row


def list_parts(
    session: Session,
    project_id: str,
    upload_id: str,
    *,
    after: str | None = None,
    order: Order = "asc",
    limit: int = 1000,
) -> Page[UploadPart]:
    """One page of the parts that have arrived."""
    uploads.get(session, project_id, upload_id)
    owned = UploadPart.project_id == project_id
    filters = [UploadPart.upload_id == upload_id]
    return paginate(session, UploadPart, owned, filters, after=after, order=order, limit=limit)


def is_named(session: Session, upload_id: str, object_key: str) -> bool:
    """Whether a part's row names that object."""
    mine = select(UploadPart.id).where(
        UploadPart.upload_id == upload_id, UploadPart.object_key == object_key
    )
    return session.execute(mine.limit(1)).first() is not None


def in_order(session: Session, upload: Upload, part_ids: list[str] | None) -> list[UploadPart]:
    """The upload's parts in that order, or by number. Raises InvalidRequest unless they are its
    own and hold exactly the bytes that were announced. One part may stand in several places.
    """
    mine = select(UploadPart).where(UploadPart.upload_id == upload.id)
    parts = every(session, mine, UploadPart)
    ordered = _numbered(parts) if part_ids is None else _named(parts, part_ids, upload)
    size = sum(part.bytes for part in ordered)
    if size != upload.bytes:
        raise InvalidRequest(
            f"The {len(ordered)} parts hold {size} bytes; {upload.id} was created for "
            f"{upload.bytes}. Send what is missing, or name the right parts.",
            code="wrong_size",
            param="part_ids",
        )
    return ordered


def _slot(number: int | None, sha256: str) -> str:
    return sha256 if number is None else f"number {number}"


def _part_in(session: Session, upload_id: str, slot: str) -> UploadPart | None:
    statement = select(UploadPart).where(UploadPart.upload_id == upload_id, UploadPart.slot == slot)
    return first(session, statement, UploadPart)


def _check_room(session: Session, upload: Upload, size: int) -> None:
    count, held = session.execute(
        select(func.count(), func.coalesce(func.sum(UploadPart.bytes), 0)).where(
            UploadPart.upload_id == upload.id
        )
    ).one()
    if held + size > upload.bytes:
        raise TooLarge(
            f"The parts would hold {held + size} bytes; {upload.id} was created for "
            f"{upload.bytes}. Send only what is missing, or cancel it and create another.",
            code="upload_too_large",
            param="data",
        )
    if count >= MAX_PARTS:
        raise TooLarge(
            f"{upload.id} has {count} parts, the most an upload may have. Send larger parts.",
            code="too_many_parts",
            param="data",
        )


def _numbered(parts: list[UploadPart]) -> list[UploadPart]:
    ordered = sorted(parts, key=lambda part: (part.number or 0, part.created_at))
    numbers = [part.number for part in ordered]
    if numbers != list(range(1, len(parts) + 1)):
        raise InvalidRequest(
            f"part_ids is missing and the parts' numbers are not 1 to {len(parts)}; name the "
            "parts in their order, or send those that are missing.",
            code="missing_parts",
            param="part_ids",
        )
    return ordered


def _named(parts: list[UploadPart], part_ids: list[str], upload: Upload) -> list[UploadPart]:
    known = {part.id: part for part in parts}
    unknown = next((part_id for part_id in part_ids if part_id not in known), None)
    if unknown is not None:
        raise InvalidRequest(
            f"{unknown!r} is no part of {upload.id}; GET /v1/uploads/{upload.id}/parts lists them.",
            code="unknown_part",
            param="part_ids",
        )
    return [known[part_id] for part_id in part_ids]
