"""A file, or a part of one, from the wire to the spool: streamed, hashed, within its limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.bodies import declared_length
from api.multipart import FRAMING_BYTES, Form, FormReader, boundary_of
from api.spool import SpoolFile, require_space, spool_file
from core.errors import InvalidRequest
from core.records.upload_parts import MAX_PARTS
from core.settings import MIB, Settings
from core.validation import shown

ARCHIVE_PURPOSES = ("fine-tune", "evals")  # archives of images, checked as they arrive
IMAGE_PURPOSE = "vision"  # one image, of which a dataset may be made
PURPOSES = (*ARCHIVE_PURPOSES, IMAGE_PURPOSE, "user_data")  # the last is kept as it is
MAX_PART_BYTES = 64 * MIB  # what OpenAI's SDK sends unless told otherwise
_WRITE_BYTES = MIB  # handed to a thread at once
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Upload:
    """A whole file on the spool, which is gone when the block that received it ends."""

    path: Path
    size: int
    sha256: str
    filename: str
    purpose: str

    @property
    def is_archive(self) -> bool:
        return self.purpose in ARCHIVE_PURPOSES


@dataclass(frozen=True)
class Part:
    """A part of a file on the spool, gone with its block too."""

    path: Path
    size: int
    sha256: str
    number: int | None


@asynccontextmanager
async def receive_upload(request: Request, settings: Settings) -> AsyncIterator[Upload]:
    """The request's file. Raises InvalidRequest, TooLarge and StorageFault."""
    form = Form(
        file="file",
        fields=("purpose",),
        most=settings.max_file_bytes,
        too_large="file_too_large",
        advice="Split the data set.",
    )
    with spool_file(settings.spool_directory) as spool:
        read = await _receive(request, settings, spool, form, _check_purpose)
        if "purpose" not in read.values:
            raise InvalidRequest(
                f"purpose is missing; it must be {_purposes()}.",
                code="missing_field",
                param="purpose",
            )
        assert read.filename is not None  # FormReader.finish requires it
        yield Upload(spool.path, spool.size, spool.sha256, read.filename, read.values["purpose"])


@asynccontextmanager
async def receive_part(request: Request, settings: Settings, most: int) -> AsyncIterator[Part]:
    """The request's part of a file of at most so many bytes. Raises as `receive_upload`."""
    form = Form(
        file="data",
        fields=("part_number", "sha256"),
        most=min(most, MAX_PART_BYTES),
        too_large="part_too_large",
        advice="Send smaller parts, and no more than was announced.",
    )
    with spool_file(settings.spool_directory) as spool:
        read = await _receive(request, settings, spool, form, lambda reader: None)
        if not spool.size:
            raise InvalidRequest("The part is empty (0 bytes).", code="empty_part", param="data")
        number = _number(read.values.get("part_number"))
        _check_digest(read.values.get("sha256"), spool)
        yield Part(spool.path, spool.size, spool.sha256, number)


def require_purpose(purpose: str) -> None:
    """Raises InvalidRequest for a purpose that means nothing here."""
    if purpose not in PURPOSES:
        raise InvalidRequest(
            f"purpose is {shown(purpose)}; it must be {_purposes()}.",
            code="unknown_purpose",
            param="purpose",
        )


async def _receive(
    request: Request,
    settings: Settings,
    spool: SpoolFile,
    form: Form,
    check: Callable[[FormReader], None],
) -> FormReader:
    reader = FormReader(boundary_of(request.headers.get("content-type"), form), form)
    declared = declared_length(request)
    if declared is not None and declared > form.most + FRAMING_BYTES:
        raise form.refusal(declared - FRAMING_BYTES)
    require_space(settings.spool_directory, declared or 0)
    received = 0
    async with _writing(spool) as writer:
        async for chunk in request.stream():
            received += len(chunk)
            piece = reader.feed(chunk)
            check(reader)
            await writer.add(piece)
            _check_framing(received, writer.size)
        reader.finish()
    return reader


class _Writer:
    """Hands pieces to the spool, one thread's work at a time, while the next are received."""

    def __init__(self, spool: SpoolFile) -> None:
        self.size = 0
        self._spool = spool
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._busy: asyncio.Task[None] | None = None

    async def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes >= _WRITE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        await self.settle()
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        self._busy = asyncio.create_task(run_in_threadpool(self._spool.write, data))

    async def settle(self) -> None:
        busy, self._busy = self._busy, None
        if busy is not None:
            await busy


@asynccontextmanager
async def _writing(spool: SpoolFile) -> AsyncIterator[_Writer]:
    """Everything is on the spool when the block ends; no thread is at work when it fails."""
    writer = _Writer(spool)
    try:
        yield writer
        await writer.flush()
    finally:
        await writer.settle()
    await run_in_threadpool(spool.finish)


def _check_purpose(reader: FormReader) -> None:
    """As soon as it is known: mostly before the file, which is then not received in vain."""
    if "purpose" in reader.values:
        require_purpose(reader.values["purpose"])


def _check_framing(received: int, file_bytes: int) -> None:
    if received - file_bytes > FRAMING_BYTES:
        raise InvalidRequest(
            f"The multipart body has more than {FRAMING_BYTES} bytes beside the file.",
            code="invalid_multipart",
        )


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= MAX_PARTS:
        raise InvalidRequest(
            f"part_number is {shown(text)}; it must be a number from 1 to {MAX_PARTS}.",
            code="invalid_part_number",
            param="part_number",
        )
    return number


def _check_digest(expected: str | None, spool: SpoolFile) -> None:
    if expected is None or expected == spool.sha256:
        return
    if not _SHA256.fullmatch(expected):
        raise InvalidRequest(
            f"sha256 is {shown(expected)}; it must be 64 hexadecimal digits in lower case.",
            param="sha256",
        )
    raise InvalidRequest(
        f"The part's {spool.size} bytes have the sha256 {spool.sha256}, not {expected}: they "
        "changed on their way. Send the part again.",
        code="digest_differs",
        param="sha256",
    )


def _purposes() -> str:
    archive = " or ".join(map(repr, ARCHIVE_PURPOSES))
    return f"{archive} (an archive of images), 'vision' (one image), or 'user_data'"
