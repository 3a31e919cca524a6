"""Objects of a store that is elsewhere are fetched once, and forgotten when there are many."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore

from api.kept import kept
from api.services import Services
from core.disk_cache import RECENT_SECONDS
from core.errors import NotFound, StorageFault
from core.objects import ObjectStore
from tests.api_service import Service


@pytest.fixture
def services(fresh: Service, tmp_path: Path) -> Services:
    """Its store says of no object where it lies, as S3 does."""
    (tmp_path / "elsewhere").mkdir()
    found: Services = fresh.client.app.state.services  # type: ignore[attr-defined]
    settings = found.settings.model_copy(update={"cache_bytes": 10})
    return replace(found, store=ObjectStore(LocalStore(tmp_path / "elsewhere")), settings=settings)


def test_where_it_lies_is_enough(fresh: Service) -> None:
    services: Services = fresh.client.app.state.services  # type: ignore[attr-defined]
    stored = fresh.store.put_bytes("a/b", b"content")
    assert kept(services, stored.key, stored.sha256) == fresh.store.local_path("a/b")
    assert not (fresh.settings.cache_directory / "objects").exists()


def test_it_is_fetched_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = services.store.put_bytes("a/b", b"content")
    path = kept(services, stored.key, stored.sha256)
    assert path.read_bytes() == b"content"
    os.utime(path, (0, 0))
    monkeypatch.setattr(ObjectStore, "download", _never)
    assert kept(services, stored.key, stored.sha256) == path
    assert time.time() - path.stat().st_mtime < 60  # used now


def test_what_was_used_longest_ago_makes_room(services: Services) -> None:
    first, second, third = (services.store.put_bytes(f"a/{n}", b"seven %d" % n) for n in range(3))
    paths = [kept(services, stored.key, stored.sha256) for stored in (first, second)]
    assert all(path.exists() for path in paths)  # within the hour nothing goes
    past = time.time() - 2 * RECENT_SECONDS
    os.utime(paths[0], (past, past))
    kept(services, third.key, third.sha256)
    assert [path.exists() for path in paths] == [False, True]
    assert kept(services, first.key, first.sha256).read_bytes() == b"seven 0"


def test_what_the_store_has_no_more_is_not_there(services: Services) -> None:
    stored = services.store.put_bytes("a/b", b"content")
    kept(services, stored.key, stored.sha256)
    services.store.delete(stored.key)
    with pytest.raises(NotFound):
        kept(services, stored.key, stored.sha256)


def test_what_breaks_off_leaves_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = services.store.put_bytes("a/b", b"content")

    def broken(*arguments: Any) -> Any:
        yield b"con"
        raise StorageFault("The connection broke.")

    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "read", broken)
        with pytest.raises(StorageFault):
            kept(services, stored.key, stored.sha256)
    assert list((services.settings.cache_directory / "objects").iterdir()) == []
    assert kept(services, stored.key, stored.sha256).read_bytes() == b"content"


def _never(*arguments: Any) -> None:
    raise AssertionError("fetched again")
