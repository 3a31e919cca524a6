"""An archive on the spool that was not sent as one: gathered from images, or fetched from S3.

It then goes the way of every file. A gathered archive is a ZIP in the service's own layout; each
image is read twice, or held if it is small, because its header has its checksum.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from api.services import Services
from api.spool import SpoolFile, require_space
from core.datasets.image_kinds import HEAD_BYTES, suffix_of
from core.datasets.labelled import SIDE_FILES
from core.datasets.layout import is_image
from core.datasets.layouts.zip_stream import ZipParts
from core.errors import InvalidRequest, NotFound, StorageFault, TooLarge
from core.imports import Source, open_source
from core.objects import ObjectStore
from core.settings import MIB, Settings
from core.validation import shown

MAX_OBJECTS = 50_000  # of a folder in S3: each is a request of its own
_HELD_BYTES = 8 * MIB  # of an image that is read once


@dataclass(frozen=True)
class Member:
    """A file of the archive to be, and where its bytes are."""

    name: str
    store: ObjectStore
    key: str
    size: int
    needs_suffix: bool = False  # that of the image it turns out to be


def gather(members: Iterable[Member], spool: SpoolFile, settings: Settings) -> None:
    """Write an archive of the members. Raises TooLarge, InvalidRequest and StorageFault."""
    total = 0
    with tempfile.TemporaryFile(dir=settings.spool_directory) as directory:
        archive = ZipParts(directory)
        for member in members:
            total += member.size
            _check_sizes(member, total, settings)
            name, size, crc32, content = _opened(member)
            spool.write(archive.header(name, size, crc32))
            for chunk in content:
                size -= len(chunk)
                spool.write(chunk)
            if size:
                raise StorageFault(f"{member.key} changed while it was read; try again.")
        for chunk in archive.ending():
            spool.write(chunk)
    spool.finish()


def fetch(services: Services, address: str, spool: SpoolFile) -> None:
    """Write what lies at an allowed address: an archive as it is, a folder's images as an archive.

    Raises InvalidRequest, Forbidden, NotFound, TooLarge and StorageFault.
    """
    source = open_source(address, services.settings)
    try:
        if source.is_folder:
            gather(_listed(source), spool, services.settings)
        else:
            _copy(source, spool, services.settings)
    except NotFound as error:
        raise NotFound(f"There is nothing at {shown(address)}.", param="source") from error


def _listed(source: Source) -> Iterator[Member]:
    """The images below a folder, by name, and the files that say something of them."""
    prefix = f"{source.key}/"
    known = (
        item
        for item in source.store.list(source.key)
        if is_image(item.key) or item.key.rpartition("/")[2] in SIDE_FILES
    )
    found = list(islice(known, MAX_OBJECTS + 1))
    if not found:
        raise NotFound("No images.")
    if len(found) > MAX_OBJECTS:
        raise TooLarge(
            f"More than {MAX_OBJECTS} images lie there, the most a folder may have. Put them into "
            "an archive.",
            code="too_many_entries",
            param="source",
        )
    for item in sorted(found, key=lambda item: item.key):
        yield Member(item.key.removeprefix(prefix), source.store, item.key, item.size)


def _copy(source: Source, spool: SpoolFile, settings: Settings) -> None:
    size = source.store.head(source.key).size
    if size > settings.max_file_bytes:
        raise TooLarge(
            f"{source.key} has {size} bytes; the most is {settings.max_file_bytes}. Split the "
            "data set.",
            code="file_too_large",
            param="source",
        )
    require_space(settings.spool_directory, size)
    spool.write_all(source.store.read(source.key))
    spool.finish()


def _check_sizes(member: Member, total: int, settings: Settings) -> None:
    if member.size > settings.max_image_bytes:
        raise TooLarge(
            f"{member.key} has {member.size} bytes; the most is {settings.max_image_bytes}.",
            code="entry_too_large",
        )
    if total > settings.max_file_bytes:
        raise TooLarge(
            f"The images up to {member.key} hold {total} bytes; the most is "
            f"{settings.max_file_bytes}. Split the data set.",
            code="file_too_large",
        )


def _opened(member: Member) -> tuple[str, int, int, Iterator[bytes]]:
    """Name, size, checksum and content."""
    if member.size <= _HELD_BYTES:
        data = member.store.read_bytes(member.key)
        head, size, crc32, content = data, len(data), zlib.crc32(data), iter((data,))
    else:
        head, size, crc32 = b"", 0, 0
        for chunk in member.store.read(member.key):
            head = head or chunk
            size += len(chunk)
            crc32 = zlib.crc32(chunk, crc32)
        content = member.store.read(member.key)
    return f"{member.name}{_suffix(member, head)}", size, crc32, content


def _suffix(member: Member, head: bytes) -> str:
    if not member.needs_suffix:
        return ""
    suffix = suffix_of(head[:HEAD_BYTES])
    if suffix is None:
        raise InvalidRequest(
            f"{member.name.rpartition('/')[2]} is no image that is read here (it starts "
            f"{head[:HEAD_BYTES]!r}).",
            code="unknown_image_format",
            param="images",
        )
    return suffix
