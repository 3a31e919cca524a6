"""What the routes of one app share. Made when the app starts, closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import aiohttp
from anyio import CapacityLimiter
from fastapi import Depends, Request

from api.beliefs import Beliefs
from api.event_stream import encode, encode_step
from api.events import Feed
from api.metering import Meter
from api.rates import RateLimiter
from api.spool import sweep
from core.access.key_hash import KeyHash
from core.access.limits import Limits
from core.learning.methods import registry
from core.objects import ObjectStore
from core.outgoing.rules import Rules
from core.records.engine import Database
from core.records.tables import ApiKey, Model
from core.settings import Settings

CONNECT_TIMEOUT = 2.0  # seconds; the inference process is on this machine or near
KEEP_ALIVE = 15.0  # seconds that an idle connection to it stays; it keeps its end for longer
INSPECTIONS = 2  # archives looked into at a time; each may be a process of half a gigabyte


@dataclass(frozen=True)
class Opened:
    """A key, and what it and its project are limited to, by their ids."""

    key: ApiKey
    limits: dict[str, Limits]


@dataclass(frozen=True)
class Services:
    """Handles that are safe to share between threads and requests."""

    settings: Settings
    database: Database
    store: ObjectStore
    inference: aiohttp.ClientSession
    hashing: KeyHash
    opened: Beliefs[str, Opened]  # by a secret's digest
    models: Beliefs[tuple[str, str], Model]  # by project, and id or alias
    meter: Meter
    rates: RateLimiter
    inspections: CapacityLimiter
    feed: Feed
    outgoing: Rules


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """The services of an app. The database is migrated by whoever starts the process."""
    registry()  # imported now rather than inside the first request's transaction
    store = ObjectStore.from_settings(settings)
    outgoing = Rules.from_settings(settings)
    sweep(settings.spool_directory)
    hashing = KeyHash.from_settings(settings)
    database = Database(settings.resolved_database_url)
    meter = Meter(database)
    inference = aiohttp.ClientSession(  # no proxy of the environment's, which it does not ask
        settings.resolved_serving_url,
        timeout=aiohttp.ClientTimeout(settings.serving_timeout, sock_connect=CONNECT_TIMEOUT),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
    )
    feed = Feed(database, encode, encode_step)
    try:
        async with inference, meter.running():
            yield Services(
                settings,
                database,
                store,
                inference,
                hashing,
                Beliefs(database),
                Beliefs(database),
                meter,
                RateLimiter(database),
                CapacityLimiter(INSPECTIONS),
                feed,
                outgoing,
            )
    finally:
        await feed.close()
        database.close()


async def services(request: Request) -> Services:
    """The app's services, for a route's signature; async, as it is not worth a thread."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


InServices = Annotated[Services, Depends(services)]
