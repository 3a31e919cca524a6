"""One claimed job, from its claim to the last word about it.

An attempt holds a lease and a trainer. It beats the lease's heart, relays what the trainer
reports, watches that the trainer gets on, stops it when it must, and writes how it ended. It
never waits: `step` does what is due and `next_due` says when to call it again.

A trainer is stopped in two ways. What it has done is wanted when its job is paused, its worker
stops, or the job is cancelled and to be kept: SIGTERM, time to save, SIGKILL. Nothing of it is
wanted when the job is cancelled, or the trainer hangs or talks nonsense: SIGKILL at once.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Literal

import structlog

from core.errors import Unavailable
from core.jobs.messages import Failed, Finished, Speed, Stopped
from core.records import leases, metrics, publishing
from core.records.engine import Database, Session
from core.records.leases import Claim, LeaseLost, Order, Outcome
from core.redaction import Redactor
from core.settings import Settings
from worker.clock import Clock
from worker.environment import trainer_environment
from worker.inbox import Inbox
from worker.log_shipper import LogShipper
from worker.trainer_process import ProtocolFault, TrainerProcess

RELAY_SECONDS = 0.5  # reports are gathered this long before they are written
RETRY_SECONDS = 1.0  # before a database that did not answer is asked again
EXIT_POLL_SECONDS = 0.05  # between looks whether a trainer that closed its pipe has exited
HEARTBEATS_PER_LEASE = 3
MOST_BREAKDOWNS = 3  # before the job is left to the sweeper
_AT_ONCE = 1_000  # messages read in one step, so that no trainer keeps the others waiting

Ending = Literal["saved", "cancelled", "stalled", "broken"]


class Attempt:
    """Make it right after the claim; call `step` until `is_over`."""

    def __init__(
        self,
        claim: Claim,
        process: TrainerProcess,
        database: Database,
        settings: Settings,
        clock: Clock,
        claimed_at: float,
        slot: int = 0,
    ) -> None:
        """`claimed_at` is the clock before the claim was sent: the lease lasts no less."""
        self.claim = claim
        self.slot = slot
        self.process = process
        self.outcome: Outcome | None = None  # what was written; None when the lease was lost
        self.is_over = False
        self.failure: str | None = None  # why the attempt failed, if it did
        self._database = database
        self._settings = settings
        self._clock = clock
        self._inbox = Inbox()
        self._redactor = Redactor.of(settings, trainer_environment(settings))
        self._shipper = LogShipper(claim, process.log_path, database, clock, self._redactor)
        self._ending: Ending | None = None  # why we stop the trainer
        self._fault = ""  # what is broken
        self._is_final = False  # whether trying again would end alike
        self._verdict: Callable[[Session], Outcome] | None = None
        self._lease_ends = claimed_at + settings.lease_seconds
        self._heartbeat_at = claimed_at + settings.lease_seconds / HEARTBEATS_PER_LEASE
        self._relay_at = claimed_at
        self._moved_at = claimed_at
        self._kill_at: float | None = None
        self._killed = False
        self._conclude_at = claimed_at
        self._breakdowns = 0
        self._log = structlog.get_logger().bind(
            job=claim.job_id, duty=claim.duty, attempt=claim.attempt
        )
        self._log.info("trainer started", pid=process.pid)

    def step(self) -> None:
        """Does whatever is due. Everything that can go wrong with one job stays in here."""
        try:
            self._step()
        except LeaseLost:
            self._forget("another worker may hold it")
        except metrics.Differs as difference:
            self._inbox.clear()
            self._is_final = True
            self._break(str(difference))
        except Exception as error:
            self._break_down(error)

    @property
    def is_reading(self) -> bool:
        """Whether to call `step` when the trainer's pipe can be read."""
        return not self.process.at_end and self._inbox.room > 0

    @property
    def speed(self) -> Speed | None:
        """How fast its trainer's steps go, as far as it said."""
        return self._inbox.speed

    def look(self) -> None:
        """Somebody rang: the job may be cancelled or paused, so ask now."""
        self._heartbeat_at = min(self._heartbeat_at, self._clock.now())

    def stop(self) -> None:
        """The worker is stopping."""
        self._end("saved")

    def next_due(self) -> float:
        """When `step` has something to do although nothing was reported."""
        if self.process.exit_code is not None:
            return min(self._heartbeat_at, self._conclude_at)
        due = [self._heartbeat_at, self._lease_ends, self._shipper.next_due()]
        if self._inbox.batch():
            due.append(self._relay_at)
        if self._kill_at is not None:
            due.append(self._kill_at)
        elif self._ending is None:
            due.append(self._moved_at + self._settings.stall_seconds)
        if self.process.at_end:
            due.append(self._clock.now() + EXIT_POLL_SECONDS)
        return min(due)

    def _step(self) -> None:
        if self.process.exit_code is None and self.process.has_exited():
            self.process.finish()
        self._read()
        self._heartbeat()
        if self.process.exit_code is not None:
            self._conclude()
            return
        if self._clock.now() >= self._lease_ends:
            self._forget("the database could not be reached for a whole lease")
            return
        self._relay()
        self._shipper.step()
        self._watch()

    def _read(self) -> None:
        """Before the exit no more than the inbox takes; after it, all that is left."""
        has_exited = self.process.exit_code is not None
        try:
            messages = self.process.read(None if has_exited else min(self._inbox.room, _AT_ONCE))
        except ProtocolFault as fault:
            self._break(f"The trainer wrote what is no message: {fault}")
            return
        if self._inbox.add(messages):
            self._moved_at = self._clock.now()

    def _heartbeat(self) -> None:
        sent_at = self._clock.now()
        if sent_at < self._heartbeat_at:
            return
        try:
            with self._database.write() as session:
                order = leases.heartbeat(session, self.claim, self._settings.lease_seconds)
        except Unavailable as error:
            self._log.warning("no heartbeat", error=error.message)
            self._heartbeat_at = self._clock.now() + RETRY_SECONDS
            return
        self._lease_ends = sent_at + self._settings.lease_seconds
        self._heartbeat_at = sent_at + self._settings.lease_seconds / HEARTBEATS_PER_LEASE
        self._heed(order)

    def _relay(self) -> None:
        batch = self._inbox.batch()
        if not batch or self._clock.now() < self._relay_at:
            return
        try:
            with self._database.write() as session:
                order = leases.relay(session, self.claim, batch)
        except Unavailable as error:
            self._log.warning("reports wait", error=error.message)
            self._relay_at = self._clock.now() + RETRY_SECONDS
            return
        self._inbox.relayed()
        self._relay_at = self._clock.now() + RELAY_SECONDS
        self._heed(order)

    def _heed(self, order: Order) -> None:
        if order == "cancel":
            self._end("cancelled")
        elif order == "save":
            self._end("saved")

    def _watch(self) -> None:
        """Stops a trainer that does not get on, or does not end when it should."""
        now = self._clock.now()
        if self._kill_at is not None and now >= self._kill_at:
            self._killed = True
            self.process.kill()
            self._kill_at = now + self._settings.stop_grace_seconds + RETRY_SECONDS
        said_all = self._inbox.last_word is not None or self.process.at_end
        if said_all and self._kill_at is None:  # it has no more to say: it should exit by itself
            self._kill_at = now + self._settings.stop_grace_seconds
        if now - self._moved_at >= self._settings.stall_seconds:
            self._end("stalled")

    def _break_down(self, error: Exception) -> None:
        """A fault of ours, or reports that no database takes: they are dropped, the job fails."""
        self._log.exception("attempt broke down")
        self._breakdowns += 1
        if self._breakdowns > MOST_BREAKDOWNS:
            self._forget("its end cannot be written; the lease will run out")
            return
        self._inbox.clear()
        self._conclude_at = self._clock.now() + RETRY_SECONDS
        self._break(f"The worker could not write what the trainer reported: {error!r}")

    def _break(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._verdict = None
        self._end("broken")

    def _end(self, ending: Ending) -> None:
        """Asks the trainer to save and stop, once, or ends it."""
        if self._ending is not None and (self._ending != "saved" or ending == "saved"):
            return
        self._log.info("stopping the trainer", why=ending)
        self._ending = ending
        if ending == "saved":
            self._kill_at = self._clock.now() + self._settings.stop_grace_seconds
            self.process.terminate()
        else:
            self._kill_at = self._clock.now() + RETRY_SECONDS
            self._killed = True
            self.process.kill()

    def _forget(self, why: str) -> None:
        """The job is not ours any more: nothing is written."""
        self._log.warning("lease lost; the trainer is killed", why=why)
        self.process.close()
        self.is_over = True

    def _conclude(self) -> None:
        """Writes the end. With the trainer gone there is no harm in trying past the lease: while
        the database is away nobody else can have taken the job, and the token tells.
        """
        if self._clock.now() < self._conclude_at:
            return
        self._verdict = self._verdict or self._judge()
        try:
            self._shipper.finish()
            with self._database.write() as session:
                self.outcome = self._verdict(session)
        except Unavailable as error:
            self._log.warning("the end waits", error=error.message)
            self._conclude_at = self._clock.now() + RETRY_SECONDS
            return
        self._log.info("attempt over", status=self.outcome.status, exit_code=self.process.exit_code)
        self.process.close()
        self.is_over = True

    def _judge(self) -> Callable[[Session], Outcome]:
        """What the end is. A result that is complete counts, whatever happened after it."""
        word, messages = self._inbox.last_word, self._inbox.everything()
        if self._ending == "cancelled":
            return lambda session: leases.stop_cancelled(session, self.claim, messages)
        if self._fault:
            return self._failure("internal", self._fault)
        if isinstance(word, Finished):
            most = self._settings.max_attempts
            end = _ENDS[self.claim.duty]
            return lambda session: end(session, self.claim, messages, max_attempts=most)
        if self._ending == "saved" or isinstance(word, Stopped):
            return lambda session: leases.give_back(session, self.claim, messages)
        if isinstance(word, Failed):
            return self._failure(word.reason, word.message, word.param)
        if self._ending == "stalled":
            seconds = self._settings.stall_seconds
            return self._failure("timeout", f"The trainer made no progress for {seconds:g} s.")
        return self._failure("worker_lost", f"The trainer ended without a result: {self._exit()}.")

    def _failure(
        self, reason: str, message: str, param: str | None = None
    ) -> Callable[[Session], Outcome]:
        self.failure = reason
        messages = self._inbox.everything()
        tail = [self._redactor.redact(line) for line in self.process.log_tail()]
        exit_code = self.process.exit_code
        self._log.warning("attempt failed", reason=reason, message=message, log=tail)
        return lambda session: leases.fail(
            session,
            self.claim,
            reason,
            message,
            param=param,
            data={"exit_code": exit_code, "log": tail},
            messages=messages,
            max_attempts=self._settings.max_attempts,
            is_final=self._is_final,
        )

    def _exit(self) -> str:
        code = self.process.exit_code or 0
        if code >= 0:
            return f"it exited with code {code}"
        name = signal.Signals(-code).name
        if code == -signal.SIGKILL and not self._killed:
            return f"{name} ended it, which is mostly the system running out of memory"
        return f"{name} ended it"


_ENDS = {
    "check": leases.pass_check,
    "train": publishing.publish,
    "keep": publishing.publish_kept,
}
