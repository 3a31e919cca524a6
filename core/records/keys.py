"""Projects and their API keys. A secret is shown once; only its SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound, Unauthenticated
from core.ids import new_id
from core.records.clock import now
from core.records.rows import every, first
from core.records.tables import ApiKey, Project

KEY_PREFIX = "lipsum-"
TOUCH_SECONDS = 60.0  # last_used_at is at most this stale: not a write for every request
_SHOWN = len(KEY_PREFIX) + 6


def create_project(session: Session, name: str) -> Project:
    """The project of that name, made when there is none."""
    found = first(session, select(Project).where(Project.name == name), Project)
    if found is not None:
        return found
    row = first(
        session,
        insert(Project).values(id=new_id("proj"), name=name, created_at=now()).returning(Project),
        Project,
    )
    assert row is not None
    return row


def create(session: Session, project_id: str, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be had again."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    row = first(
        session,
        insert(ApiKey)
        .values(
            id=new_id("key"),
            project_id=project_id,
            name=name,
            hash=_digest(secret),
            prefix=secret[:_SHOWN],
            created_at=now(),
        )
        .returning(ApiKey),
        ApiKey,
    )
    assert row is not None
    return row, secret


def authenticate(session: Session, secret: str) -> ApiKey:
    """The live key of that secret. Raises Unauthenticated, the same for unknown and revoked."""
    key = first(
        session,
        select(ApiKey).where(ApiKey.hash == _digest(secret), ApiKey.revoked_at.is_(None)),
        ApiKey,
    )
    if key is None:
        raise Unauthenticated(
            "The API key is not one of this service's, or was revoked; "
            "make one with `lipsum keys create`."
        )
    return key


def still_open(session: Session, key_ids: Iterable[str]) -> set[str]:
    """Which of these keys open their project now; for answers that last longer than a request."""
    live = select(ApiKey.id).where(ApiKey.id.in_(list(key_ids)), ApiKey.revoked_at.is_(None))
    return set(session.execute(live).scalars())


def touch(session: Session, key_id: str) -> None:
    """Notes that the key was used, unless that was noted less than TOUCH_SECONDS ago."""
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now() - TOUCH_SECONDS),
        )
        .values(last_used_at=now())
    )


def list_keys(session: Session, project_id: str) -> list[ApiKey]:
    """The project's keys, revoked ones too, oldest first."""
    return every(
        session,
        select(ApiKey)
        .where(ApiKey.project_id == project_id)
        .order_by(ApiKey.created_at, ApiKey.id),
        ApiKey,
    )


def revoke(session: Session, project_id: str, key_id: str) -> None:
    """The key opens nothing any more. Revoking twice changes nothing."""
    found = session.execute(
        update(ApiKey)
        .where(ApiKey.project_id == project_id, ApiKey.id == key_id)
        .values(revoked_at=func.coalesce(ApiKey.revoked_at, now()))
        .returning(ApiKey.id)
    ).first()
    if found is None:
        raise NotFound(f"There is no API key {key_id!r}.", param="key_id")


def count(session: Session) -> int:
    """How many live keys there are: none means the service was never set up."""
    live = select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None))
    return session.execute(live).scalar_one()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
