"""Uploads and their parts: one of each, whoever asks how often, and an end that stays."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import update

from core.errors import Conflict, InvalidRequest, NotFound, TooLarge
from core.records import files, upload_parts, uploads
from core.records.engine import Database
from core.records.tables import Upload, UploadPart
from tests import service_builders as build


def announce(database: Database, size: int = 10, filename: str = "a.zip") -> Upload:
    project = build.project(database)
    with database.write() as session:
        return uploads.create(
            session,
            project,
            filename=filename,
            purpose="user_data",
            mime_type="application/zip",
            size=size,
            seconds=100.0,
        )


def send(
    database: Database, upload: Upload, content: str, number: int | None = None, size: int = 5
) -> UploadPart:
    with database.write() as session:
        return upload_parts.add(
            session,
            upload.project_id,
            upload.id,
            number=number,
            size=size,
            sha256=content,
            object_key=f"uploads/{upload.id}/{content}",
        )


def read(database: Database, upload: Upload) -> Upload:
    with database.read() as session:
        return uploads.get(session, upload.project_id, upload.id)


def age(database: Database, upload: Upload, seconds: float = 1000.0) -> None:
    """Lets that much time pass for an upload."""
    with database.write() as session:
        session.execute(
            update(Upload)
            .where(Upload.id == upload.id)
            .values(
                expires_at=Upload.expires_at - seconds,
                ended_at=Upload.ended_at - seconds,
                completing_until=Upload.completing_until - seconds,
                signed_until=Upload.signed_until - seconds,
            )
        )


def finish(database: Database, upload: Upload) -> Upload:
    with database.write() as session:
        file = files.create(
            session,
            upload.project_id,
            filename="a",
            purpose="user_data",
            size=1,
            sha256="x",
            object_key="x",
        )
        return uploads.complete(session, upload.project_id, upload.id, file.id)


def order(database: Database, upload: Upload, *part_ids: str) -> list[str]:
    with database.read() as session:
        return [
            part.sha256 for part in upload_parts.in_order(session, upload, list(part_ids) or None)
        ]


def test_an_equal_part_sent_twice_is_one(database: Database) -> None:
    upload = announce(database)
    first, again = send(database, upload, "x"), send(database, upload, "x")
    assert first.id == again.id
    numbered, repeated = send(database, upload, "y", 3), send(database, upload, "y", 3)
    assert numbered.id == repeated.id
    with database.read() as session:
        page = upload_parts.list_parts(session, upload.project_id, upload.id)
    assert [part.id for part in page.items] == [first.id, numbered.id]


def test_equal_bytes_under_two_numbers_are_two_parts(database: Database) -> None:
    upload = announce(database)
    assert send(database, upload, "x", 1).id != send(database, upload, "x", 2).id
    assert order(database, upload) == ["x", "x"]


def test_a_number_keeps_its_content(database: Database) -> None:
    upload = announce(database)
    send(database, upload, "x", 1)
    with pytest.raises(Conflict, match="Part 1 of") as caught:
        send(database, upload, "y", 1)
    assert (caught.value.code, caught.value.param) == ("part_differs", "part_number")


def test_parts_hold_no_more_than_was_announced(database: Database) -> None:
    upload = announce(database, size=9)
    send(database, upload, "x", size=5)
    with pytest.raises(TooLarge, match="would hold 10 bytes; .* was created for 9"):
        send(database, upload, "y", size=5)
    send(database, upload, "x", size=5)  # the same again needs no room


def test_there_are_not_endless_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_parts, "MAX_PARTS", 2)
    upload = announce(database, size=100)
    send(database, upload, "x", 1)
    send(database, upload, "y", 2)
    with pytest.raises(TooLarge, match="2 parts, the most"):
        send(database, upload, "z", 3)


def test_parts_go_by_number_or_as_they_are_named(database: Database) -> None:
    upload = announce(database)
    late, early = send(database, upload, "b", 2), send(database, upload, "a", 1)
    assert order(database, upload) == ["a", "b"]
    assert order(database, upload, late.id, early.id) == ["b", "a"]
    assert order(database, upload, late.id, late.id) == ["b", "b"]


def test_what_is_not_the_whole_file_is_refused(database: Database) -> None:
    upload, other = announce(database), announce(database)
    first, third = send(database, upload, "a", 1), send(database, upload, "c", 3)
    foreign = send(database, other, "f", 1)
    for part_ids, code in (
        ((), "missing_parts"),
        ((first.id,), "wrong_size"),
        ((first.id, third.id, first.id), "wrong_size"),
        ((first.id, foreign.id), "unknown_part"),
        ((first.id, "part-none"), "unknown_part"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            order(database, upload, *part_ids)
        assert (caught.value.code, caught.value.param) == (code, "part_ids")


def test_late_is_expired_before_anybody_wrote_it_down(database: Database) -> None:
    upload = announce(database)
    age(database, upload)
    assert read(database, upload).status == "expired"
    for call in (
        lambda: send(database, upload, "x"),
        lambda: finish(database, upload),
        lambda: _cancel(database, upload),
    ):
        with pytest.raises(Conflict, match="is expired"):
            call()
    live = announce(database)
    assert _ids(database, upload, "expired") == [upload.id]
    assert _ids(database, upload, "pending") == [live.id]
    with database.write() as session:
        assert uploads.expire(session) == [upload.id]
        assert uploads.expire(session) == []
    assert read(database, upload).status == "expired"
    assert read(database, upload).ended_at is not None


def test_what_is_being_put_together_does_not_expire(database: Database) -> None:
    upload = announce(database)
    with database.write() as session:
        assert uploads.claim_completion(session, upload.project_id, upload.id, 2000.0)
    age(database, upload)
    assert read(database, upload).status == "pending"
    assert _ids(database, upload, "pending") == [upload.id]
    with database.write() as session:
        assert uploads.expire(session) == []
    assert finish(database, upload).status == "completed"


def test_one_puts_the_parts_together(database: Database) -> None:
    upload = announce(database)

    def claim() -> bool:
        with database.write() as session:
            return uploads.claim_completion(session, upload.project_id, upload.id, 30.0)

    assert [claim(), claim()] == [True, False]
    with database.write() as session:
        uploads.set_claim(session, upload.id, None)
    assert claim()
    with database.write() as session:  # its owner died some time ago
        session.execute(update(Upload).values(completing_until=Upload.completing_until - 60))
    assert claim()
    _cancel(database, upload)
    with database.write() as session:
        uploads.set_claim(session, upload.id, None)
    assert not claim()


def test_an_end_stays(database: Database) -> None:
    upload = announce(database)
    assert _cancel(database, upload).status == "cancelled"
    assert _cancel(database, upload).status == "cancelled"
    with pytest.raises(Conflict, match="is cancelled"):
        finish(database, upload)
    done = announce(database)
    assert finish(database, done).file_id is not None
    with pytest.raises(Conflict, match="is completed"):
        _cancel(database, done)
    with pytest.raises(Conflict, match="is completed"):
        send(database, done, "x")


def test_ended_uploads_are_purged_once(database: Database) -> None:
    upload, live = announce(database), announce(database)
    send(database, upload, "x")
    _cancel(database, upload)
    with database.read() as session:
        assert uploads.to_purge(session, 60.0) == []
    age(database, upload)
    with database.read() as session:
        assert uploads.to_purge(session, 60.0) == [upload.id]
    with database.write() as session:
        uploads.mark_purged(session, upload.id)
        assert uploads.to_purge(session, 60.0) == []
    with database.read() as session:
        assert upload_parts.list_parts(session, upload.project_id, upload.id).items == []
    assert read(database, live).status == "pending"


def test_what_was_signed_is_waited_for(database: Database) -> None:
    """A client may write a part into the store for as long as its address says."""
    upload = announce(database)
    with database.write() as session:
        until = uploads.note_signature(session, upload.id, 5000.0)
        sooner = uploads.note_signature(session, upload.id, 1000.0)
    assert read(database, upload).signed_until == until > sooner
    _cancel(database, upload)
    for expected in ([], [], [], [], [], [upload.id]):
        age(database, upload)
        with database.read() as session:
            assert uploads.to_purge(session, 60.0) == expected


def test_a_part_from_two_senders_at_once_is_one(database: Database) -> None:
    upload = announce(database)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(send(database, upload, "x", 1).id))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_anothers_upload_is_none(database: Database) -> None:
    upload = announce(database)
    theirs = build.project(database, "theirs")
    send(database, upload, "x")
    with database.write() as session:
        for call in (
            lambda: uploads.get(session, theirs, upload.id),
            lambda: uploads.cancel(session, theirs, upload.id),
            lambda: upload_parts.list_parts(session, theirs, upload.id),
            lambda: uploads.complete(session, theirs, upload.id, "file-1"),
        ):
            with pytest.raises(NotFound) as caught:
                call()
            assert caught.value.message == (
                f"There is no upload {upload.id!r}; list yours with GET /v1/uploads."
            )
        assert not uploads.claim_completion(session, theirs, upload.id, 30.0)
        assert uploads.list_uploads(session, theirs).items == []


def test_lists_are_of_one_name(database: Database) -> None:
    first = announce(database, filename="a.zip")
    announce(database, filename="b.zip")
    with database.read() as session:
        page = uploads.list_uploads(session, first.project_id, filename="a.zip")
    assert [row.id for row in page.items] == [first.id]


def _cancel(database: Database, upload: Upload) -> Upload:
    with database.write() as session:
        return uploads.cancel(session, upload.project_id, upload.id)


def _ids(database: Database, upload: Upload, status: str) -> list[str]:
    with database.read() as session:
        page = uploads.list_uploads(session, upload.project_id, status=status)
    return [row.id for row in page.items]
