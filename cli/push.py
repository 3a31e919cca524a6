"""`lipsum push`: an archive or a folder to the service, in parts, from where it was interrupted.

The service knows which parts it has, so nothing is kept here: the same command, given again, finds
the upload by its name and size, passes over the parts whose digests agree and sends the rest.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from openai import APIStatusError, OpenAI
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from cli.client import make_client
from cli.direct import write_part
from cli.folder_zip import FolderZip
from cli.jobs import said_plainly
from core.settings import MIB

PART_BYTES = 8 * MIB
IN_FLIGHT = 2  # parts; each costs about twice its size
PURPOSE: Final = "fine-tune"
_RETRIES = 8  # of one request: for about a minute, the time of a restart


class Source(Protocol):
    """What is sent: its size is known before, its bytes come in order, and again the same."""

    name: str
    size: int

    def chunks(self) -> Iterator[bytes]: ...


class FileSource:
    """A file as it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self.size = path.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        with self._path.open("rb", buffering=0) as file:
            while chunk := file.read(PART_BYTES):
                yield chunk


def push(path: Path, *, direct: bool = False) -> str:
    """Upload an archive as it is, or a folder as a ZIP of its images; the file's id.

    `direct` writes the bytes into the service's object store, which must be one that signs.
    """
    source = FileSource(path) if path.is_file() else FolderZip(path)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)  # the id alone goes to standard output
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(source.name, total=source.size)
        client = make_client()
        return send(client, source, lambda done: bar.update(task, completed=done), direct=direct)


def send(
    client: OpenAI, source: Source, progress: Callable[[int], None], *, direct: bool = False
) -> str:
    """The id of the file. `progress` is called with the bytes that the service has.

    Raises `ServiceError` with the service's own sentence when it refuses.
    """
    patient = client.with_options(max_retries=_RETRIES)
    way = write_part if direct else _send_part
    upload_id, parts = _begun(patient, source)
    if parts and not _send_parts(patient, source, upload_id, parts, progress, way):
        parts = {}  # of another file of this name and size, or of one that changed since
        upload_id = _begin(patient, source)
    if not parts:
        _send_parts(patient, source, upload_id, parts, progress, way)
    return _complete(patient, upload_id)


def _begun(client: OpenAI, source: Source) -> tuple[str, dict[int, str]]:
    """The newest unfinished upload of such a file and its parts' digests by number, or a new
    upload."""
    query = {"filename": source.name, "status": "pending"}
    for upload in _items(client, "/uploads", query):
        if upload["bytes"] == source.size and upload["purpose"] == PURPOSE:
            found = _items(client, f"/uploads/{upload['id']}/parts", {"limit": 1000})
            parts = {part["part_number"]: part["sha256"] for part in found}
            if None not in parts:  # as another client sends them
                return upload["id"], parts
    return _begin(client, source), {}


def _begin(client: OpenAI, source: Source) -> str:
    kind = mimetypes.guess_type(source.name)[0] or "application/octet-stream"
    return said_plainly(
        lambda: client.uploads.create(
            bytes=source.size, filename=source.name, mime_type=kind, purpose=PURPOSE
        )
    ).id


def _send_parts(
    client: OpenAI,
    source: Source,
    upload_id: str,
    parts: dict[int, str],
    progress: Callable[[int], None],
    way: Callable[[OpenAI, str, int, str, bytes], None],
) -> bool:
    """Whether every part that the service had is one of this source's."""
    done = 0
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        sending: deque[tuple[Future[None], int]] = deque()

        def settle(most: int) -> None:
            nonlocal done
            while len(sending) > most:
                sent, size = sending.popleft()
                sent.result()
                done += size
                progress(done)

        for number, data in enumerate(_in_parts(source), start=1):
            digest = hashlib.sha256(data).hexdigest()
            settle(IN_FLIGHT - 1)
            if parts.get(number, digest) != digest:
                return False
            send = _pass_over if number in parts else way
            future = pool.submit(send, client, upload_id, number, digest, data)
            sending.append((future, len(data)))
            del data
        settle(0)
    return True


def _in_parts(source: Source) -> Iterator[bytes]:
    waiting = bytearray()
    for chunk in source.chunks():
        if not waiting and len(chunk) == PART_BYTES:
            yield chunk
            continue
        waiting += chunk
        while len(waiting) >= PART_BYTES:
            part = bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
            yield part
    if waiting:
        yield bytes(waiting)


def _send_part(client: OpenAI, upload_id: str, number: int, digest: str, data: bytes) -> None:
    said_plainly(
        lambda: client.uploads.parts.create(
            upload_id, data=data, extra_body={"part_number": number, "sha256": digest}
        )
    )


def _pass_over(client: OpenAI, upload_id: str, number: int, digest: str, data: bytes) -> None:
    """The service has this part already."""


def _complete(client: OpenAI, upload_id: str) -> str:
    try:
        answer = said_plainly(
            lambda: client.post(f"/uploads/{upload_id}/complete", cast_to=object, body={})
        )
    except Exception as fault:
        if isinstance(fault.__cause__, APIStatusError) and fault.__cause__.status_code < 500:
            client.uploads.cancel(upload_id)  # it will not be accepted another time either
        raise
    assert isinstance(answer, dict)
    return str(answer["file"]["id"])


def _items(client: OpenAI, path: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every item of a list, page after page."""
    page: Any = {"has_more": True, "last_id": None}
    while page["has_more"]:
        after = {} if page["last_id"] is None else {"after": page["last_id"]}
        page = said_plainly(partial(_page, client, path, {**query, **after}))
        yield from page["data"]


def _page(client: OpenAI, path: str, query: dict[str, Any]) -> Any:
    return client.get(path, cast_to=object, options={"params": query})
