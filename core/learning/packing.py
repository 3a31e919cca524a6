"""A model directory as one uncompressed, deterministic tar, and back.

Equal directories give equal bytes: members in the order of their names, no times, no owners.
Uncompressed, so that each file is a byte range of the one stored object, whose place `pack`
returns.
"""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

CHECKSUMS_FILE = "SHA256SUMS"

Members = dict[str, tuple[int, int]]  # file name -> (offset of its bytes in the tar, size)


def pack(directory: Path, target: Path) -> Members:
    """Write `SHA256SUMS` into the directory and all its files into one tar at `target`."""
    _write_checksums(directory)
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in _files(directory):
            info = tarfile.TarInfo(path.relative_to(directory).as_posix())
            info.size = path.stat().st_size
            info.mode = 0o644
            with path.open("rb") as content:
                archive.addfile(info, content)
    with tarfile.open(target, "r:") as archive:
        return {member.name: (member.offset_data, member.size) for member in archive}


def unpack(source: Path, directory: Path) -> None:
    """Write the files of a tar that `pack` made and check them against `SHA256SUMS`.

    Only regular files with plain relative names are written. Raises ValueError for anything
    else in the tar, or when a file's digest differs.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(source, "r:") as archive:
        for member in archive:
            parts = Path(member.name).parts
            if not member.isreg() or Path(member.name).is_absolute() or ".." in parts:
                raise ValueError(f"{source.name} holds {member.name!r}, which no model of ours has")
            path = directory / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None  # a regular member always has content
            with path.open("wb") as out:
                while block := content.read(1 << 20):
                    out.write(block)
    for line in (directory / CHECKSUMS_FILE).read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        if _sha256(directory / name) != digest:
            raise ValueError(f"{name} of {source.name} does not have its recorded digest")


def _write_checksums(directory: Path) -> None:
    lines = [
        f"{_sha256(path)}  {path.relative_to(directory).as_posix()}\n"
        for path in _files(directory)
        if path.name != CHECKSUMS_FILE
    ]
    (directory / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
