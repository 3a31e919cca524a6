"""Parts written past the service: what a store that will not take them makes of the command."""

from __future__ import annotations

import pytest

from cli.direct import TRIES, put
from core.errors import Unavailable
from tests.receiver import receiver
from tests.services import free_port

SIGNED = "key?X-Amz-Signature=secret"


def test_a_store_that_stumbles_gets_the_part_again() -> None:
    with receiver(503, 500, 200) as store:
        put(f"{store.address}/{SIGNED}", b"part", wait=0)
    assert [request.body for request in store.received] == [b"part"] * 3


def test_a_store_that_refuses_is_not_asked_again() -> None:
    with receiver(403, 200) as store, pytest.raises(Unavailable, match=r"status 403"):
        put(f"{store.address}/{SIGNED}", b"part", wait=0)
    assert len(store.received) == 1


def test_a_store_that_fails_is_asked_so_often() -> None:
    with receiver(500) as store, pytest.raises(Unavailable, match=r"status 500"):
        put(f"{store.address}/{SIGNED}", b"part", wait=0)
    assert len(store.received) == TRIES


def test_a_store_that_is_not_there_is_named_without_the_signature() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=r"ConnectError") as caught:
        put(f"{address}/{SIGNED}", b"part", wait=0)
    assert address.removeprefix("http://") in caught.value.message
    assert "secret" not in caught.value.message
