"""Keys: what opens them and until when, on both databases."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select, update

from core.access.key_hash import KeyHash
from core.errors import Conflict, Unauthenticated
from core.records import key_secrets, keys, projects
from core.records.engine import Database
from core.records.tables import ApiKey, KeySecret
from tests import service_builders as build
from tests.service_builders import HASHING

OTHER = KeyHash(b"another installation's secret, as long as ours")


def test_a_key_opens_until_it_is_revoked(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, secret = build.key(session, project, "laptop")
        build.key(session, project, "other")
    assert secret.startswith(key.prefix)
    assert secret not in str(vars(key))
    with database.read() as session:
        found = keys.authenticate(session, secret, HASHING)
        assert (found.project_id, found.scopes) == (project, key.scopes)
        assert keys.count(session) == 2
    with database.write() as session:
        keys.revoke(session, project, key.id)
        keys.revoke(session, project, key.id)
    with database.read() as session:
        for wrong in (secret, "", "lipsum-x"):
            with pytest.raises(Unauthenticated):
                keys.authenticate(session, wrong, HASHING)
        assert keys.count(session) == 1
        listed = keys.list_keys(session, project).items
        # Made in one transaction, so perhaps in the same millisecond: in either order.
        assert sorted(row.name for row in listed) == ["laptop", "other"]


def test_what_is_stored_opens_nothing_and_is_no_plain_hash(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        _, secret = build.key(session, project)
        stored = session.execute(select(KeySecret.digest)).scalar_one()
        assert stored not in (secret, hashlib.sha256(secret.encode()).hexdigest())
        for guess in (stored, hashlib.sha256(secret.encode()).hexdigest()):
            with pytest.raises(Unauthenticated):
                keys.authenticate(session, guess, HASHING)
        with pytest.raises(Unauthenticated):
            keys.authenticate(session, secret, OTHER)


def test_an_expired_key_says_so_to_its_owner_only(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, secret = build.key(session, project, expires_in=3600)
        assert keys.authenticate(session, secret, HASHING).id == key.id
        session.execute(update(ApiKey).values(expires_at=ApiKey.expires_at - 3601))
        with pytest.raises(Unauthenticated) as fault:
            keys.authenticate(session, secret, HASHING)
        assert fault.value.code == "expired_api_key"
        assert keys.count(session) == 0
        keys.revoke(session, project, key.id)
        with pytest.raises(Unauthenticated) as fault:
            keys.authenticate(session, secret, HASHING)
        assert fault.value.code == "invalid_api_key"


def test_both_secrets_open_a_key_during_the_overlap(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, old = build.key(session, project)
        rotated, new = keys.rotate(session, project, key.id, HASHING, 600.0)
        assert rotated.id == key.id
        assert new.startswith(rotated.prefix)
        assert not old.startswith(rotated.prefix)
        for secret in (old, new):
            assert keys.authenticate(session, secret, HASHING).id == key.id
        session.execute(update(KeySecret).values(valid_until=KeySecret.valid_until - 601))
        with pytest.raises(Unauthenticated):
            keys.authenticate(session, old, HASHING)
        assert keys.authenticate(session, new, HASHING).id == key.id


def test_a_second_rotation_gives_the_first_secret_no_more_time(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, first = build.key(session, project)
        _, second = keys.rotate(session, project, key.id, HASHING, 100.0)
        _, third = keys.rotate(session, project, key.id, HASHING, 5000.0)
        session.execute(update(KeySecret).values(valid_until=KeySecret.valid_until - 101))
        with pytest.raises(Unauthenticated):
            keys.authenticate(session, first, HASHING)
        for secret in (second, third):
            assert keys.authenticate(session, secret, HASHING).id == key.id
        _, fourth = keys.rotate(session, project, key.id, HASHING, 0.0)
        for secret in (second, third):
            with pytest.raises(Unauthenticated):
                keys.authenticate(session, secret, HASHING)
        assert keys.authenticate(session, fourth, HASHING).id == key.id


def test_a_key_that_ended_is_not_rotated(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        revoked, _ = build.key(session, project)
        expired, _ = build.key(session, project, expires_in=-1)
        keys.revoke(session, project, revoked.id)
        for key in (revoked, expired):
            with pytest.raises(Conflict):
                keys.rotate(session, project, key.id, HASHING, 0.0)


def test_revoking_ends_every_secret_of_a_key(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, old = build.key(session, project)
        _, new = keys.rotate(session, project, key.id, HASHING, 600.0)
        keys.revoke(session, project, key.id)
        for secret in (old, new):
            with pytest.raises(Unauthenticated):
                keys.authenticate(session, secret, HASHING)


def test_a_bare_digest_opens_its_key_once_it_is_keyed(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, secret = build.key(session, project)
        bare = hashlib.sha256(secret.encode()).hexdigest()
        session.execute(update(KeySecret).values(digest=bare, keyed_with=None))
        with pytest.raises(Unauthenticated):
            keys.authenticate(session, secret, HASHING)
        for _ in range(2):
            key_secrets.key_bare_digests(session, HASHING)
            assert keys.authenticate(session, secret, HASHING).id == key.id
        assert key_secrets.keyed_elsewhere(session, HASHING) == 0


def test_keys_of_another_secret_are_counted_until_they_are_revoked(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
        keys.rotate(session, project, key.id, HASHING, 600.0)
        assert key_secrets.keyed_elsewhere(session, OTHER) == 1
        keys.revoke(session, project, key.id)
        assert key_secrets.keyed_elsewhere(session, OTHER) == 0


def test_the_use_of_a_key_is_never_put_back(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)

        def last_used() -> float:
            return keys.get(session, project, key.id).last_used_at or 0.0

        assert last_used() == 0.0
        keys.note_use(session, key.id, 5.0)
        noted = last_used()
        keys.note_use(session, key.id, 500.0)  # another process, of what was before
        assert last_used() == noted
        keys.note_use(session, key.id, 0.0)
        assert 4.0 < last_used() - noted < 60.0


def test_a_project_has_a_name_of_its_own(database: Database) -> None:
    with database.write() as session:
        made = projects.create(session, "birds")
        with pytest.raises(Conflict, match=made.id):
            projects.create(session, "birds")
        assert projects.find_or_create(session, "birds").id == made.id
        assert [row.id for row in projects.list_projects(session).items] == [made.id]
