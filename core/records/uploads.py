"""Uploads in parts: what a client announced, who puts the parts together, and how it ended.

An upload that is late is `expired` for everybody at once; the sweeper writes it down afterwards.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.ids import new_id
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import first
from core.records.tables import Upload, UploadPart


def create(
    session: Session,
    project_id: str,
    *,
    filename: str,
    purpose: str,
    mime_type: str,
    size: int,
    seconds: float,
) -> Upload:
    """A new upload of `size` bytes, which waits for its parts for that many seconds."""
    row = first(
        session,
        insert(Upload)
        .values(
            id=new_id("upload"),
            project_id=project_id,
            filename=filename,
            purpose=purpose,
            mime_type=mime_type,
            bytes=size,
            status="pending",
            created_at=now(),
            expires_at=now() + seconds,
        )
        .returning(Upload),
        Upload,
    )
    assert row is not None
    return row


def get(session: Session, project_id: str, upload_id: str) -> Upload:
    """The project's upload. NotFound for unknown and foreign ids alike."""
    return _read(session, _owned(project_id, upload_id), upload_id)


def hold(session: Session, project_id: str, upload_id: str) -> Upload:
    """The same, its row locked until the transaction ends."""
    return _read(session, _owned(project_id, upload_id).with_for_update(), upload_id)


def list_uploads(
    session: Session,
    project_id: str,
    *,
    status: str | None = None,
    filename: str | None = None,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 20,
) -> Page[Upload]:
    """One page of the project's uploads."""
    filters: list[ColumnElement[bool]] = []
    if status in ("pending", "expired"):
        expired = or_(Upload.status == "expired", _is_late())
        filters.append(expired if status == "expired" else _is_live())
    elif status is not None:
        filters.append(Upload.status == status)
    if filename is not None:
        filters.append(Upload.filename == filename)
    owned = Upload.project_id == project_id
    page = paginate(session, Upload, owned, filters, after=after, order=order, limit=limit)
    moment = _moment(session)
    return Page([_aged(row, moment) for row in page.items], page.has_more)


def require_pending(upload: Upload) -> None:
    """Raises Conflict when the upload takes no more parts."""
    if upload.status != "pending":
        raise Conflict(
            f"The upload {upload.id} is {upload.status}; only a pending one can be changed. "
            "Create another.",
            code="upload_not_pending",
        )


def claim_completion(session: Session, project_id: str, upload_id: str, seconds: float) -> bool:
    """Whether the caller is to put the parts together; False while somebody else does."""
    taken = session.execute(
        update(Upload)
        .where(
            Upload.project_id == project_id,
            Upload.id == upload_id,
            Upload.status == "pending",
            or_(Upload.completing_until.is_(None), Upload.completing_until < now()),
        )
        .values(completing_until=now() + seconds)
        .returning(Upload.id)
    ).first()
    return taken is not None


def set_claim(session: Session, upload_id: str, seconds: float | None) -> None:
    """Keeps the completion claimed for that long from now, or gives it up (None)."""
    until = None if seconds is None else now() + seconds
    _update(session, Upload.id == upload_id, completing_until=until)


def complete(session: Session, project_id: str, upload_id: str, file_id: str) -> Upload:
    """The upload became that file. Raises Conflict when it has ended meanwhile."""
    upload = hold(session, project_id, upload_id)
    require_pending(upload)
    _update(session, Upload.id == upload_id, status="completed", file_id=file_id, ended_at=now())
    return get(session, project_id, upload_id)


def note_signature(session: Session, upload_id: str, seconds: float) -> float:
    """A client may write a part into the store for that long from now; until when, at least.

    The sweeper waits for that: nothing arrives after it has been there.
    """
    until = _moment(session) + seconds
    later = or_(Upload.signed_until.is_(None), Upload.signed_until < until)
    _update(session, (Upload.id == upload_id) & later, signed_until=until)
    return until


def cancel(session: Session, project_id: str, upload_id: str) -> Upload:
    """No part is taken any more. Cancelling twice is one cancel; Conflict when it has ended."""
    upload = hold(session, project_id, upload_id)
    if upload.status != "cancelled":
        require_pending(upload)
        _update(session, Upload.id == upload_id, status="cancelled", ended_at=now())
    return get(session, project_id, upload_id)


def expire(session: Session) -> list[str]:
    """Writes down which uploads are late; their ids."""
    late = update(Upload).where(_is_late()).values(status="expired", ended_at=now())
    options = {"synchronize_session": False}
    return list(session.execute(late.returning(Upload.id), execution_options=options).scalars())


def to_purge(session: Session, quiet_seconds: float, limit: int = 20) -> list[str]:
    """Uploads that ended at least that long ago, as did what was signed for them, and whose parts
    are still there, oldest first."""
    quiet_since = now() - quiet_seconds
    statement = (
        select(Upload.id)
        .where(
            Upload.purged_at.is_(None),
            Upload.ended_at < quiet_since,
            or_(Upload.signed_until.is_(None), Upload.signed_until < quiet_since),
        )
        .order_by(Upload.ended_at)
        .limit(limit)
    )
    return list(session.execute(statement).scalars())


def mark_purged(session: Session, upload_id: str) -> None:
    """The objects of the upload's parts are gone, and now their rows."""
    session.execute(
        delete(UploadPart).where(UploadPart.upload_id == upload_id),
        execution_options={"synchronize_session": False},
    )
    _update(session, Upload.id == upload_id, purged_at=now())


def _owned(project_id: str, upload_id: str) -> Select[Upload]:
    return select(Upload).where(Upload.project_id == project_id, Upload.id == upload_id)


def _read(session: Session, statement: Select[Upload], upload_id: str) -> Upload:
    row = first(session, statement, Upload)
    if row is None:
        raise NotFound(
            f"There is no upload {upload_id!r}; list yours with GET /v1/uploads.",
            param="upload_id",
        )
    return _aged(row, _moment(session))


def _moment(session: Session) -> float:
    return float(session.execute(select(now())).scalar_one())


def _aged(row: Upload, moment: float) -> Upload:
    """The row as it is at that moment, whether or not the sweeper has been there."""
    busy = row.completing_until is not None and row.completing_until >= moment
    if row.status == "pending" and row.expires_at <= moment and not busy:
        row.status = "expired"
    return row


def _is_late() -> ColumnElement[bool]:
    idle = or_(Upload.completing_until.is_(None), Upload.completing_until < now())
    return (Upload.status == "pending") & (Upload.expires_at <= now()) & idle


def _is_live() -> ColumnElement[bool]:
    busy = (Upload.completing_until.is_not(None)) & (Upload.completing_until >= now())
    return (Upload.status == "pending") & ((Upload.expires_at > now()) | busy)


def _update(session: Session, where: ColumnElement[bool], **values: Any) -> None:
    session.execute(
        update(Upload).where(where).values(**values),
        execution_options={"synchronize_session": False},
    )
