"""Uploads in parts through the `openai` SDK, unmodified, sync and async."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.api_process import ApiProcess
from tests.api_service import dataset

MIB = 1 << 20
CONTENT = bytes(range(256)) * 50_000  # 12.8 MB


def test_the_life_of_an_upload(client: OpenAI) -> None:
    created = client.uploads.create(
        bytes=len(CONTENT), filename="a.bin", mime_type="application/x-tar", purpose="user_data"
    )
    assert (created.object, created.status, created.bytes) == ("upload", "pending", len(CONTENT))
    assert created.expires_at > created.created_at
    ids = []
    for start in range(0, len(CONTENT), 5 * MIB):
        part = client.uploads.parts.create(created.id, data=CONTENT[start : start + 5 * MIB])
        assert (part.object, part.upload_id) == ("upload.part", created.id)
        ids.append(part.id)
    done = client.uploads.complete(created.id, part_ids=ids, md5=hashlib.md5(CONTENT).hexdigest())
    assert (done.id, done.status) == (created.id, "completed")
    assert done.file is not None
    assert client.files.content(done.file.id).read() == CONTENT
    assert client.files.retrieve(done.file.id) == done.file


def test_a_file_in_chunks(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(dataset(seed=901))
    done = client.uploads.upload_file_chunked(
        file=path, mime_type="application/zip", purpose="fine-tune", part_size=1000
    )
    assert done.file is not None
    assert (done.file.filename, done.file.bytes) == ("images.zip", path.stat().st_size)
    assert client.files.content(done.file.id).read() == path.read_bytes()
    whole = client.files.create(file=path, purpose="fine-tune")
    mine, theirs = done.file.model_extra or {}, whole.model_extra or {}
    assert mine["sha256"] == theirs["sha256"]
    assert mine["dataset"] == theirs["dataset"]


def test_a_file_of_equal_chunks(client: OpenAI) -> None:
    """Equal parts are one part, which the SDK then names several times."""
    content = bytes(4 * MIB) + b"end"
    done = client.uploads.upload_file_chunked(
        file=content,
        filename="zeros.bin",
        bytes=len(content),
        mime_type="x/y",
        purpose="user_data",
        part_size=MIB,
    )
    assert done.file is not None
    assert client.files.content(done.file.id).read() == content


def test_a_chunk_of_the_sdks_own_size(client: OpenAI) -> None:
    content = CONTENT * 6
    done = client.uploads.upload_file_chunked(
        file=content, filename="a", bytes=len(content), mime_type="x/y", purpose="user_data"
    )
    assert done.file is not None
    assert done.file.bytes == len(content) > 64 * MIB


def test_parts_in_parallel(client: OpenAI) -> None:
    created = client.uploads.create(
        bytes=len(CONTENT), filename="p.bin", mime_type="x/y", purpose="user_data"
    )
    pieces = [CONTENT[start : start + MIB] + b"" for start in range(0, len(CONTENT), MIB)]

    def send(number: int) -> str:
        return client.uploads.parts.create(
            created.id, data=pieces[number], extra_body={"part_number": number + 1}
        ).id

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, reversed(range(len(pieces)))))
    listed = client.get(f"/uploads/{created.id}/parts", cast_to=object)
    assert isinstance(listed, dict)
    ids = [part["id"] for part in sorted(listed["data"], key=lambda part: part["part_number"])]
    done = client.uploads.complete(created.id, part_ids=ids)
    assert done.file is not None
    assert client.files.content(done.file.id).read() == CONTENT


def test_a_cancelled_upload(client: OpenAI) -> None:
    created = client.uploads.create(bytes=3, filename="c.bin", mime_type="x/y", purpose="user_data")
    part = client.uploads.parts.create(created.id, data=b"abc")
    assert client.uploads.cancel(created.id).status == "cancelled"
    with pytest.raises(openai.ConflictError) as caught:
        client.uploads.complete(created.id, part_ids=[part.id])
    assert caught.value.code == "upload_not_pending"
    with pytest.raises(openai.ConflictError):
        client.uploads.parts.create(created.id, data=b"abc")


def test_errors_are_typed(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.uploads.parts.create("upload-none", data=b"x")
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.create(bytes=1, filename="a", mime_type="x/y", purpose="assistants")
    assert (caught.value.code, caught.value.param) == ("unknown_purpose", "purpose")
    created = client.uploads.create(bytes=3, filename="a", mime_type="x/y", purpose="fine-tune")
    part = client.uploads.parts.create(created.id, data=b"abc")
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(created.id, part_ids=[part.id])
    assert caught.value.code == "not_an_archive"
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(created.id, part_ids=[part.id], md5="0" * 32)
    assert (caught.value.code, caught.value.param) == ("digest_differs", "md5")


def test_asynchronously(api: ApiProcess, tmp_path: Path) -> None:
    path = tmp_path / "async.zip"
    path.write_bytes(dataset(seed=902))

    async def work() -> None:
        async with api.async_openai() as client:
            done = await client.uploads.upload_file_chunked(
                file=path, mime_type="application/zip", purpose="evals", part_size=700
            )
            assert done.file is not None
            assert (await client.files.content(done.file.id)).read() == path.read_bytes()
            created = await client.uploads.create(
                bytes=9, filename="b.bin", mime_type="x/y", purpose="user_data"
            )
            parts = await asyncio.gather(
                *(client.uploads.parts.create(created.id, data=piece) for piece in (b"abc", b"def"))
            )
            with pytest.raises(openai.BadRequestError) as caught:
                await client.uploads.complete(created.id, part_ids=[part.id for part in parts])
            assert caught.value.code == "wrong_size"
            assert (await client.uploads.cancel(created.id)).status == "cancelled"

    asyncio.run(work())
