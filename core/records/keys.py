"""API keys: who asks, and what for. A secret is shown once; `key_secrets` keeps its digest."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, insert, or_, select, true, update
from sqlalchemy.orm import Session

from core.access.key_hash import KeyHash
from core.access.scopes import Scope
from core.errors import Conflict, NotFound, Unauthenticated
from core.ids import new_id
from core.records import key_secrets
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import first
from core.records.tables import ApiKey


def create(
    session: Session,
    project_id: str,
    name: str,
    hashing: KeyHash,
    *,
    scopes: Iterable[Scope],
    expires_at: float | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be had again."""
    key_id = new_id("key")
    secret = key_secrets.new_secret()
    row = first(
        session,
        insert(ApiKey)
        .values(
            id=key_id,
            project_id=project_id,
            name=name,
            scopes=sorted(set(scopes)),
            prefix=key_secrets.shown(secret),
            created_at=now(),
            expires_at=expires_at,
        )
        .returning(ApiKey),
        ApiKey,
    )
    assert row is not None
    key_secrets.add(session, key_id, secret, hashing)
    return row, secret


def authenticate(session: Session, secret: str, hashing: KeyHash) -> ApiKey:
    """The live key of that secret. Raises Unauthenticated: the same for a secret that never was,
    was replaced or was revoked; whoever has one that expired is told so."""
    key = opened_by(session, secret, hashing)
    if key is None or key.revoked_at is not None:
        raise Unauthenticated(
            "The API key is not one of this service's, or was revoked or replaced; "
            "make one with `lipsum keys create`."
        )
    if _has_expired(session, key):
        raise Unauthenticated(
            f"The API key {key.id} has expired; ask for a new one.", code="expired_api_key"
        )
    return key


def still_open(session: Session, key_ids: Iterable[str]) -> set[str]:
    """Which of these keys open their project now; for answers that last longer than a request."""
    live = select(ApiKey.id).where(
        ApiKey.id.in_(list(key_ids)),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()),
    )
    return set(session.execute(live).scalars())


def opened_by(session: Session, secret: str, hashing: KeyHash) -> ApiKey | None:
    """The key of that secret, be it revoked or expired."""
    return first(session, key_secrets.opened(secret, hashing), ApiKey)


def get(session: Session, project_id: str | None, key_id: str, *, lock: bool = False) -> ApiKey:
    """The project's key, or whosever it is for None. NotFound for unknown and foreign alike."""
    statement = select(ApiKey).where(_owned(project_id), ApiKey.id == key_id)
    row = first(session, statement.with_for_update() if lock else statement, ApiKey)
    if row is None:
        raise NotFound(
            f"There is no API key {key_id!r}; list yours with GET /v1/keys.", param="key_id"
        )
    return row


def list_keys(
    session: Session,
    project_id: str,
    *,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 20,
) -> Page[ApiKey]:
    """One page of the project's keys, revoked ones too."""
    owned = ApiKey.project_id == project_id
    return paginate(session, ApiKey, owned, after=after, order=order, limit=limit)


def rotate(
    session: Session, project_id: str | None, key_id: str, hashing: KeyHash, overlap: float
) -> tuple[ApiKey, str]:
    """A new secret for the key; its present ones open it for `overlap` seconds more, or less."""
    key = get(session, project_id, key_id, lock=True)
    if key.revoked_at is not None or _has_expired(session, key):
        raise Conflict(
            f"API key {key_id} was revoked or has expired; create a new one.", code="key_ended"
        )
    secret = key_secrets.new_secret()
    key_secrets.retire(session, key_id, overlap)
    key_secrets.add(session, key_id, secret, hashing)
    _update(session, ApiKey.id == key_id, prefix=key_secrets.shown(secret))
    return get(session, project_id, key_id), secret


def revoke(session: Session, project_id: str | None, key_id: str) -> None:
    """The key opens nothing any more. Revoking twice changes nothing."""
    get(session, project_id, key_id)
    _update(session, ApiKey.id == key_id, revoked_at=func.coalesce(ApiKey.revoked_at, now()))


def note_use(session: Session, key_id: str, seconds_ago: float) -> None:
    """The key was used that long ago. A later use that another process noted stays."""
    at = now() - seconds_ago
    earlier = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < at)
    _update(session, (ApiKey.id == key_id) & earlier, last_used_at=at)


def count(session: Session) -> int:
    """How many live keys there are: none means the service was never set up."""
    live = select(func.count()).select_from(ApiKey).where(is_live())
    return session.execute(live).scalar_one()


def is_live() -> ColumnElement[bool]:
    """Of a key: neither revoked nor expired."""
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now())
    return ApiKey.revoked_at.is_(None) & unexpired


def _owned(project_id: str | None) -> ColumnElement[bool]:
    return true() if project_id is None else ApiKey.project_id == project_id


def _has_expired(session: Session, key: ApiKey) -> bool:
    if key.expires_at is None:
        return False
    return bool(session.execute(select(now() >= key.expires_at)).scalar_one())


def _update(session: Session, which: ColumnElement[bool], **values: object) -> None:
    session.execute(
        update(ApiKey).where(which).values(**values),
        execution_options={"synchronize_session": False},
    )
