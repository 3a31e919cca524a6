"""The digests that open API keys. A key has one, during a rotation's overlap two, and one more for
each session of a browser."""

from __future__ import annotations

import secrets

from sqlalchemy import Select, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.access.key_hash import KeyHash
from core.records.clock import now
from core.records.rows import every
from core.records.tables import ApiKey, KeySecret

KEY_PREFIX = "lipsum-"
_RANDOM_BYTES = 32
_SHOWN = len(KEY_PREFIX) + 6


def new_secret() -> str:
    """A secret nobody has."""
    return KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def shown(secret: str) -> str:
    """As much of a secret as anybody may see."""
    return secret[:_SHOWN]


def add(
    session: Session, key_id: str, secret: str, hashing: KeyHash, seconds: float | None = None
) -> None:
    """The secret opens the key from now on, or for so many seconds."""
    session.execute(
        insert(KeySecret).values(
            digest=hashing.digest(secret),
            key_id=key_id,
            keyed_with=hashing.fingerprint,
            created_at=now(),
            valid_until=None if seconds is None else now() + seconds,
        )
    )


def remove(session: Session, secret: str, hashing: KeyHash) -> None:
    """The secret opens nothing any more."""
    session.execute(
        delete(KeySecret).where(KeySecret.digest == hashing.digest(secret)),
        execution_options=_PLAIN,
    )


def remove_ended(session: Session, key_id: str) -> None:
    """Rows of secrets that no longer open the key."""
    session.execute(
        delete(KeySecret).where(KeySecret.key_id == key_id, KeySecret.valid_until <= now()),
        execution_options=_PLAIN,
    )


def opened(secret: str, hashing: KeyHash) -> Select[ApiKey]:
    """The key that the secret opens at this moment, revoked and expired ones too."""
    valid = or_(KeySecret.valid_until.is_(None), KeySecret.valid_until > now())
    return (
        select(ApiKey)
        .join(KeySecret, KeySecret.key_id == ApiKey.id)
        .where(KeySecret.digest == hashing.digest(secret), valid)
    )


def retire(session: Session, key_id: str, overlap: float) -> None:
    """What opens the key now does so for `overlap` seconds at most; what no longer does is gone."""
    remove_ended(session, key_id)
    until = now() + overlap
    lasting = or_(KeySecret.valid_until.is_(None), KeySecret.valid_until > until)
    session.execute(
        update(KeySecret).where(KeySecret.key_id == key_id, lasting).values(valid_until=until),
        execution_options=_PLAIN,
    )


def key_bare_digests(session: Session, hashing: KeyHash) -> None:
    """Digests from before revision 0003, bare SHA-256, are keyed like all others."""
    bare = select(KeySecret).where(KeySecret.keyed_with.is_(None)).with_for_update()
    for row in every(session, bare, KeySecret):
        session.execute(
            update(KeySecret)
            .where(KeySecret.digest == row.digest)
            .values(digest=hashing.wrap(row.digest), keyed_with=hashing.fingerprint),
            execution_options=_PLAIN,
        )


def keyed_elsewhere(session: Session, hashing: KeyHash) -> int:
    """How many keys that were not revoked no secret opens here, because they were hashed with
    another installation's."""
    strange = KeySecret.keyed_with != hashing.fingerprint
    statement = (
        select(func.count(KeySecret.key_id.distinct()))
        .join(ApiKey, ApiKey.id == KeySecret.key_id)
        .where(strange, ApiKey.revoked_at.is_(None))
    )
    return session.execute(statement).scalar_one()


_PLAIN = {"synchronize_session": False}
