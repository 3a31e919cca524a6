"""A folder of images as a ZIP that is never written anywhere: it is made while it is sent.

Its size is known before, and equal folders give equal bytes, so that sending can go on where it
was interrupted. A temporary archive would want the folder's size on a disk, or worse, in a
temporary directory that is memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.datasets.labelled import SIDE_FILES
from core.datasets.layout import IMAGE_SUFFIXES, is_image
from core.datasets.layouts.zip_stream import ZipParts, measured, zip_size
from core.errors import InvalidDataset, InvalidRequest
from core.settings import MIB


class FolderZip:
    """The images of a folder and what is said of them (`classes.json`, `groups.csv`,
    `metadata.csv`), stored without compression: images are compressed already.
    """

    def __init__(self, folder: Path) -> None:
        """Raises InvalidRequest when the folder holds no image."""
        self._folder = folder
        self.name = f"{folder.resolve().name}.zip"
        self.size = zip_size(
            (name, (folder / name).stat().st_size) for name in self._names(folder, "")
        )
        if not any(is_image(name) for name in self._names(folder, "")):
            raise InvalidRequest(
                f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)})", code="no_images"
            )

    def chunks(self) -> Iterator[bytes]:
        """The archive's bytes. Raises InvalidDataset when the folder changes meanwhile."""
        sent = 0
        with tempfile.TemporaryFile() as directory:
            for chunk in self._chunks(ZipParts(directory)):
                sent += len(chunk)
                yield chunk
        if sent != self.size:
            raise _changed(self._folder)

    def _chunks(self, archive: ZipParts) -> Iterator[bytes]:
        for name in self._names(self._folder, ""):
            with (self._folder / name).open("rb") as file:
                size, crc32 = measured(file)
                yield archive.header(name, size, crc32)
                file.seek(0)
                while chunk := file.read(MIB):
                    size -= len(chunk)
                    yield chunk
            if size:
                raise _changed(self._folder / name)
        yield from archive.ending()

    def _names(self, folder: Path, prefix: str) -> Iterator[str]:
        """Of what is sent, in one order; only one folder's names at a time are in memory."""
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._names(folder / entry.name, f"{prefix}{entry.name}/")
            elif (is_image(entry.name) or entry.name in SIDE_FILES) and entry.is_file():
                yield f"{prefix}{entry.name}"


def _changed(path: Path) -> InvalidDataset:
    return InvalidDataset(
        f"{path} changed while it was sent. Send it again when it is at rest.",
        code="changed_meanwhile",
    )
