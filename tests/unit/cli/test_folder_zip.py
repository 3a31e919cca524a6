"""A folder that is an archive while it is sent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.folder_zip import FolderZip
from core.datasets.layouts.zip_stream import ZipParts, zip_size
from core.errors import InvalidDataset, InvalidRequest
from tests.api_service import png


def plant(folder: Path, names: dict[str, bytes]) -> Path:
    for name, data in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_folder_is_the_same_archive_every_time(tmp_path: Path) -> None:
    names = {f"b/{n}.png": png(n) for n in (3, 1, 2)} | {"a/é.jpg": png(9)}
    first = FolderZip(plant(tmp_path / "one" / "x", names))
    again = FolderZip(plant(tmp_path / "two" / "x", dict(reversed(names.items()))))
    assert b"".join(first.chunks()) == b"".join(again.chunks())
    assert len(b"".join(first.chunks())) == first.size == again.size


def test_a_folder_without_images_or_that_changes(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no image"):
        FolderZip(plant(tmp_path / "none", {"a/notes.txt": b""}))
    source = FolderZip(plant(tmp_path / "some", {"a/1.png": png(1), "b/2.png": png(2)}))
    (tmp_path / "some" / "b" / "2.png").write_bytes(b"longer than it was when it was measured" * 9)
    with pytest.raises(InvalidDataset, match="changed while it was sent"):
        list(source.chunks())


@pytest.mark.parametrize(
    ("count", "size"), [(0, 0), (1, 1), (65_534, 1), (65_535, 1), (3, 2**32 - 2), (70_000, 10**6)]
)
def test_the_size_is_known_before(count: int, size: int) -> None:
    """Also where the directory's numbers need ZIP64: more files, or more than 4 GiB before one."""

    def entries() -> Iterator[tuple[str, int]]:
        return ((f"é/{number}.png", size) for number in range(count))

    parts = ZipParts(io.BytesIO())
    sent = sum(len(parts.header(name, size, 0)) + size for name, size in entries())
    sent += sum(len(chunk) for chunk in parts.ending())
    assert sent == zip_size(entries())
