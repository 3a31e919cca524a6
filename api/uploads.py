"""An upload from the wire to the spool: streamed, hashed, within its limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.bodies import declared_length
from api.multipart import FRAMING_BYTES, FormReader, boundary_of, file_too_large
from api.spool import SpoolFile, spool_file
from core.errors import InvalidRequest
from core.settings import MIB, Settings
from core.validation import shown

ARCHIVE_PURPOSES = ("fine-tune", "evals")  # archives of images, checked as they arrive
PURPOSES = (*ARCHIVE_PURPOSES, "user_data")  # the last is kept as it is
_WRITE_BYTES = MIB  # handed to a thread at once


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


@asynccontextmanager
async def receive_upload(request: Request, settings: Settings) -> AsyncIterator[Upload]:
    """The request's file. Raises InvalidRequest, TooLarge and StorageFault."""
    with spool_file(settings.spool_directory) as spool:
        form = await _receive(request, spool, settings.max_file_bytes)
        assert form.filename is not None  # FormReader.finish requires it
        yield Upload(spool.path, spool.size, spool.sha256, form.filename, form.values["purpose"])


async def _receive(request: Request, spool: SpoolFile, max_file_bytes: int) -> FormReader:
    boundary = boundary_of(request.headers.get("content-type"))
    declared = declared_length(request)
    if declared is not None and declared > max_file_bytes + FRAMING_BYTES:
        raise file_too_large(declared - FRAMING_BYTES, max_file_bytes)
    form = FormReader(boundary, ("purpose",), max_file_bytes)
    waiting: list[bytes] = []
    waiting_bytes = received = 0
    async for chunk in request.stream():
        received += len(chunk)
        piece = form.feed(chunk)
        _check_purpose(form)
        _check_framing(received, spool.size + waiting_bytes + len(piece))
        waiting.append(piece)
        waiting_bytes += len(piece)
        if waiting_bytes >= _WRITE_BYTES:
            await run_in_threadpool(spool.write, b"".join(waiting))
            waiting, waiting_bytes = [], 0
    form.finish()
    if "purpose" not in form.values:
        raise InvalidRequest(
            f"purpose is missing; it must be {_purposes()}.", code="missing_field", param="purpose"
        )
    await run_in_threadpool(spool.write, b"".join(waiting))
    await run_in_threadpool(spool.finish)
    return form


def _check_purpose(form: FormReader) -> None:
    """As soon as it is known: mostly before the file, which is then not received in vain."""
    purpose = form.values.get("purpose")
    if purpose is not None and purpose not in PURPOSES:
        raise InvalidRequest(
            f"purpose is {shown(purpose)}; it must be {_purposes()}.",
            code="unknown_purpose",
            param="purpose",
        )


def _check_framing(received: int, file_bytes: int) -> None:
    if received - file_bytes > FRAMING_BYTES:
        raise InvalidRequest(
            f"The multipart body has more than {FRAMING_BYTES} bytes beside the file.",
            code="invalid_multipart",
        )


def _purposes() -> str:
    archive = " or ".join(map(repr, ARCHIVE_PURPOSES))
    return f"{archive} (an archive of images), or 'user_data'"
