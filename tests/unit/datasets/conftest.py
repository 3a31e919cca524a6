"""Limits of the service's defaults, and a place to put an archive's bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from core.datasets.archive import open_archive
from core.datasets.limits import Limits
from core.errors import ServiceError
from core.settings import Settings

Saver = Callable[[bytes], Path]
Refused = Callable[..., str]


@pytest.fixture(scope="session")
def limits() -> Limits:
    return Limits.from_settings(Settings())


@pytest.fixture
def save(tmp_path: Path) -> Saver:
    def save_bytes(data: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return path

    return save_bytes


@pytest.fixture
def refused(save: Saver, limits: Limits) -> Refused:
    """Opens and reads the archive; it must fail with the code and a message with the words."""

    def assert_refused(data: bytes, code: str, *words: str, **changed: int) -> str:
        path = save(data)
        with pytest.raises(ServiceError) as caught:
            read_all(path, dataclasses.replace(limits, **changed))
        assert caught.value.code == code, caught.value.message
        for word in words:
            assert word in caught.value.message
        return caught.value.message

    return assert_refused


def read_all(path: Path, limits: Limits) -> dict[str, bytes]:
    """Every entry of the archive."""
    with open_archive(path, limits) as archive:
        return dict(archive.iterate([entry.name for entry in archive.entries]))
