"""The `openai` SDK, unmodified, with keys of every kind: the exceptions its users expect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from core.access.limits import Limits
from core.access.scopes import SCOPES, Scope
from core.records import audit, keys, limits
from core.records.clock import read_clock
from tests.api_service import add_base, add_key, dataset
from tests.live_api import LiveApi, live_api


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    with live_api(tmp_path_factory.mktemp("live")) as running:
        add_base(running.database, running.store)
        yield running


def client(live: LiveApi, scopes: list[Scope], project: str = "default", **options: Any) -> OpenAI:
    """The SDK with a new key."""
    return live.openai(add_key(live.database, project, scopes)[1], **options)


CALLS: dict[str, tuple[Scope, Callable[[OpenAI], Any]]] = {
    "files.create": (
        "files:write",
        lambda sdk: sdk.files.create(file=("a.txt", b"a"), purpose="user_data"),
    ),
    "files.list": ("files:read", lambda sdk: list(sdk.files.list())),
    "files.delete": ("files:write", lambda sdk: sdk.files.delete("file-none")),
    "jobs.create": (
        "jobs:write",
        lambda sdk: sdk.fine_tuning.jobs.create(model="base:tiny", training_file="file-none"),
    ),
    "jobs.list": ("jobs:read", lambda sdk: list(sdk.fine_tuning.jobs.list())),
    "jobs.cancel": ("jobs:write", lambda sdk: sdk.fine_tuning.jobs.cancel("ftjob-none")),
    "models.list": ("models:read", lambda sdk: list(sdk.models.list())),
    "models.delete": ("models:write", lambda sdk: sdk.models.delete("ft:tiny::none")),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_missing_scope_is_a_permission_error(live: LiveApi, name: str) -> None:
    scope, call = CALLS[name]
    others: list[Scope] = [each for each in SCOPES if each not in (scope, "admin")]
    with pytest.raises(openai.PermissionDeniedError) as caught:
        call(client(live, others))
    assert caught.value.code == "missing_scope"
    assert f"needs the scope {scope}" in caught.value.message
    assert caught.value.request_id
    with suppress(openai.NotFoundError, openai.BadRequestError):  # of what is not there
        call(client(live, [scope]))


def test_keys_that_open_nothing_are_authentication_errors(live: LiveApi) -> None:
    with live.database.read() as session:
        past = read_clock(session) - 1
    _, expired = add_key(live.database, "default", expires_at=past)
    _, revoked = add_key(live.database, "default")
    with live.database.write() as session:
        keys.revoke(session, live.project_id, keys.list_keys(session, live.project_id).items[0].id)
    for secret, code in (
        ("lipsum-wrong", "invalid_api_key"),
        (revoked, "invalid_api_key"),
        (expired, "expired_api_key"),
    ):
        with pytest.raises(openai.AuthenticationError) as caught:
            live.openai(secret).models.list()
        assert caught.value.code == code


def test_a_key_goes_on_working_while_it_is_rotated(live: LiveApi) -> None:
    old = client(live, ["models:read", "keys"])
    key = old.get("/keys", cast_to=object)
    key_id = next(row["id"] for row in key["data"])  # type: ignore[index]
    rotated: Any = old.post(f"/keys/{key_id}/rotate", body={"overlap": 60}, cast_to=object)
    assert list(old.models.list()) == list(live.openai(rotated["secret"]).models.list())
    old.post(f"/keys/{key_id}/rotate", body={"overlap": 0}, cast_to=object)
    with pytest.raises(openai.AuthenticationError):
        old.models.list()


def test_what_is_anothers_is_not_found(live: LiveApi) -> None:
    ours, theirs = live.openai(), client(live, ["admin"], project="theirs")
    file = ours.files.create(file=("a.zip", dataset()), purpose="fine-tune")
    job = ours.fine_tuning.jobs.create(model="base:tiny", training_file=file.id)
    for call in (
        lambda: theirs.files.retrieve(file.id),
        lambda: theirs.files.content(file.id),
        lambda: theirs.files.delete(file.id),
        lambda: theirs.fine_tuning.jobs.retrieve(job.id),
        lambda: theirs.fine_tuning.jobs.cancel(job.id),
        lambda: theirs.fine_tuning.jobs.list_events(job.id),
        lambda: theirs.fine_tuning.jobs.checkpoints.list(job.id),
    ):
        with pytest.raises(openai.NotFoundError):
            call()
    assert list(theirs.files.list()) == list(theirs.fine_tuning.jobs.list()) == []
    assert ours.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def test_who_waits_as_the_sdk_does_gets_through(live: LiveApi) -> None:
    project_id, secret = add_key(live.database, "hurried", ["models:read"])
    _limit(live, project_id, requests_per_minute=39)  # one every one and a half seconds
    impatient = live.openai(secret, max_retries=0)

    def ask_many_times() -> None:
        for _ in range(60):
            impatient.models.list()

    with pytest.raises(openai.RateLimitError) as caught:
        ask_many_times()
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["x-ratelimit-limit-requests"] == "39"
    assert int(caught.value.response.headers["retry-after"]) in (1, 2)
    started = time.monotonic()
    live.openai(secret, max_retries=1).models.list()  # the SDK sleeps as Retry-After says
    assert 0.5 < time.monotonic() - started < 5


def test_a_quota_is_not_waited_for(live: LiveApi) -> None:
    project_id, secret = add_key(live.database, "small", ["files:write", "jobs:write"])
    _limit(live, project_id, stored_bytes=1000, concurrent_jobs=0)
    patient = live.openai(secret, max_retries=5)
    started = time.monotonic()
    with pytest.raises(openai.RateLimitError) as caught:
        patient.files.create(file=("a.bin", bytes(2_000_000)), purpose="user_data")
    assert (caught.value.code, caught.value.param) == ("insufficient_quota", "stored_bytes")
    assert time.monotonic() - started < 3  # five retries would take longer
    with live.database.read() as session:
        assert audit.list_lines(session, project_id).items == []


def test_the_same_of_the_asynchronous_sdk(live: LiveApi) -> None:
    _, reading = add_key(live.database, "default", ["files:read"])

    async def ask() -> None:
        async with AsyncOpenAI(base_url=f"{live.address}/v1", api_key="wrong") as nobody:
            with pytest.raises(openai.AuthenticationError):
                await nobody.models.list()
        async with AsyncOpenAI(base_url=f"{live.address}/v1", api_key=reading) as reader:
            with pytest.raises(openai.PermissionDeniedError):
                await reader.models.list()
            with pytest.raises(openai.NotFoundError):
                await reader.files.retrieve("file-none")

    asyncio.run(ask())


def _limit(live: LiveApi, project_id: str, **wanted: int) -> None:
    with live.database.write() as session:
        limits.put(session, project_id, project_id, Limits(**wanted))
