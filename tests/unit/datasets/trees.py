"""Folders of small images as ZIP and TAR, for tests that are not about the archive."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping

from PIL import Image


def picture(number: int, form: str = "PNG", size: tuple[int, int] = (6, 4)) -> bytes:
    """A flat image of its own colour: equal numbers, equal pixels."""
    out = io.BytesIO()
    Image.new("RGB", size, (number % 256, number // 256 % 256, number // 65536)).save(out, form)
    return out.getvalue()


def tree(*names: str) -> dict[str, bytes]:
    """A different picture for each name."""
    return {name: picture(number) for number, name in enumerate(names)}


def as_zip(files: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in folders:
            archive.writestr(zipfile.ZipInfo(f"{name}/"), b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def as_tar(
    files: Mapping[str, bytes], folders: tuple[str, ...] = (), *, gzipped: bool = False
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if gzipped else "w") as archive:
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
