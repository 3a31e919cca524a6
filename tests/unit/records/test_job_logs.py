"""A job's log as rows: one text without a gap, the end of it kept, by the holder alone."""

from __future__ import annotations

import pytest

from core.records import job_logs, leases
from core.records.engine import Database
from core.records.job_logs import CHUNK_BYTES, KEEP_BYTES, Kept
from core.records.leases import Claim, LeaseLost
from core.settings import MIB
from tests import service_builders as build


@pytest.fixture
def held(database: Database) -> Claim:
    build.job(database, build.project(database))
    return build.claim(database)


def append(database: Database, held: Claim, data: bytes) -> None:
    with database.write() as session:
        job_logs.append(session, held, data)


def whole(database: Database, job_id: str) -> tuple[Kept, bytes]:
    with database.read() as session:
        kept = job_logs.kept(session, job_id)
    return kept, build.log(database, job_id)


def test_pieces_are_one_text(database: Database, held: Claim) -> None:
    assert whole(database, held.job_id) == (Kept(), b"")
    written = b""
    for size in (1, 10, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 5):
        piece = bytes([65 + size % 26]) * size
        append(database, held, piece)
        written += piece
    append(database, held, b"")
    assert whole(database, held.job_id) == (Kept(0, len(written)), written)
    with database.read() as session:
        assert job_logs.read(session, held.job_id, 5) == (5, written[5:11])
        assert job_logs.read(session, held.job_id, len(written)) == (len(written), b"")


def test_any_byte_can_be_stored(database: Database, held: Claim) -> None:
    append(database, held, bytes(range(256)))
    assert whole(database, held.job_id)[1] == bytes(range(256))


def test_the_last_ten_megabytes_are_kept(database: Database, held: Claim) -> None:
    for number in range(13):
        append(database, held, bytes([number]) * MIB)
    kept, data = whole(database, held.job_id)
    assert kept.end == 13 * MIB
    assert KEEP_BYTES <= kept.end - kept.start <= KEEP_BYTES + CHUNK_BYTES
    assert len(data) == kept.end - kept.start
    assert data.endswith(b"\x0c" * MIB)
    with database.read() as session:
        assert job_logs.read(session, held.job_id, 0)[0] == kept.start


def test_who_lost_the_job_adds_nothing(database: Database, held: Claim) -> None:
    append(database, held, b"mine\n")
    build.age(database, held.job_id)
    with database.write() as session:
        leases.reap(session, max_attempts=3)
    with pytest.raises(LeaseLost):
        append(database, held, b"late\n")
    build.age(database, held.job_id)
    second = build.claim(database)
    append(database, second, b"theirs\n")
    assert whole(database, held.job_id)[1] == b"mine\ntheirs\n"
