"""Tells webhook endpoints what has ended: a thread of the worker, and one for each message.

It may die anywhere. What it had in hand is sent again by whoever looks next, when its hold on the
endpoint has run out; a receiver knows the message by its id.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from core.errors import ServiceError
from core.outgoing.resolver import Lookup
from core.outgoing.rules import Rules
from core.records import deliveries
from core.records.deliveries import Held
from core.records.engine import Database
from core.settings import Settings
from core.webhooks.send import send

POLL_SECONDS = 1.0
RETRY_SECONDS = 5.0  # after a look that failed
SENDERS = 8  # messages on their way at a time, each to another endpoint


class Deliverer:
    """`run` it in a thread, or call `step` and wait for what it returns."""

    def __init__(
        self, database: Database, settings: Settings, lookup: Lookup | None = None
    ) -> None:
        """`lookup` resolves names; the system's resolver by default."""
        self._database = database
        self._rules = Rules.from_settings(settings)
        self._lookup = lookup
        self._senders = ThreadPoolExecutor(SENDERS, "webhook")
        self._under_way: set[Future[None]] = set()
        self._stopping = threading.Event()
        self._log = structlog.get_logger()

    def run(self) -> None:
        """Looks every second until `stop`."""
        while not self._stopping.is_set():
            pause = POLL_SECONDS
            try:
                self.step()
            except ServiceError as error:
                self._log.warning("webhooks wait", error=error.message)
                pause = RETRY_SECONDS
            except Exception:
                self._log.exception("webhooks failed")
                pause = RETRY_SECONDS
            self._stopping.wait(pause)
        self._senders.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """Ends `run` when what is under way has been answered. For other threads."""
        self._stopping.set()

    def step(self) -> list[Future[None]]:
        """Sends what is due, as far as senders are free; the attempts that were begun."""
        self._under_way = {future for future in self._under_way if not future.done()}
        free = SENDERS - len(self._under_way)
        if not free:
            return []
        with self._database.read() as session:
            if not deliveries.is_due(session):
                return []
        with self._database.write() as session:
            due = deliveries.hold_due(session, free)
        begun = [self._senders.submit(self._deliver, held) for held in due]
        self._under_way.update(begun)
        return begun

    def _deliver(self, held: Held) -> None:
        try:
            outcome = send(held, self._rules, lookup=self._lookup)
            with self._database.write() as session:
                deliveries.record(session, held, outcome)
        except ServiceError as error:  # it is sent again, when the hold has run out
            self._log.warning(
                "webhook not recorded", delivery=held.delivery.id, error=error.message
            )
            return
        except Exception:
            self._log.exception("webhook failed", delivery=held.delivery.id)
            return
        self._log.info(
            "webhook",
            delivery=held.delivery.id,
            type=held.delivery.event_type,
            status=outcome.status_code,
            error=outcome.error,
        )
