"""The worker's main process: it claims jobs, starts a trainer for each and writes what they do.

One thread, one loop. It waits for the doorbell, the trainers' pipes and the next thing that is
due, and never for anything else: trainers train in processes of their own, the broker is heard
in another, and the slow calls of the sweeper and the webhooks are in threads.
"""

from __future__ import annotations

import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import structlog

from core import logging
from core.errors import Unavailable
from core.jobs.labels import parse_labels
from core.objects import ObjectStore
from core.records import leases, workers
from core.records.engine import Database, migrate
from core.records.leases import Claim, LeaseLost, Outcome
from core.settings import Settings, load_settings
from worker.attempt import HEARTBEATS_PER_LEASE, RETRY_SECONDS, Attempt
from worker.clock import Clock, MonotonicClock
from worker.deliverer import Deliverer
from worker.environment import trainer_environment
from worker.identity import Identity
from worker.listener import Listener
from worker.observed import Observations
from worker.sweeper import QUIET_SECONDS, Sweeper
from worker.trainer_process import TRAINER_COMMAND, TrainerProcess
from worker.waiting_trainers import WaitingTrainers
from worker.waker import Waker

STOP_SECONDS = 5.0  # after the grace, for the database to take the leases back


def main(
    settings: Settings,
    command: Sequence[str] = TRAINER_COMMAND,
    quiet_seconds: float = QUIET_SECONDS,
) -> int:
    """Runs a worker until SIGTERM or SIGINT; its exit status. `command` starts a trainer,
    `quiet_seconds` are the sweeper's."""
    logging.configure(settings)
    _prepare_database(settings)
    database = Database(settings.resolved_database_url)
    store = ObjectStore.from_settings(settings)
    clock = MonotonicClock()
    with Identity(settings.data_dir.resolve() / "workers") as identity:
        supervisor = Supervisor(
            settings,
            database,
            identity.owner,
            identity.boot_id,
            command,
            clock=clock,
            listener=Listener(settings, clock),
        )
        if settings.worker_metrics_port is not None:
            supervisor.observations.serve(
                settings.worker_metrics_host,
                settings.worker_metrics_port,
                lambda: supervisor.attempts,
            )
        sweeper = Sweeper(
            database,
            store,
            settings,
            supervisor.wake,
            quiet_seconds,
            on_storage_fault=supervisor.observations.storage_errors.inc,
        )
        sweeper.discard_leftovers(supervisor.work_directory)
        supervisor.on_discard = sweeper.discard
        _handle_signals(supervisor)
        deliverer = Deliverer(database, settings)
        beside = [
            threading.Thread(target=sweeper.run, name="sweeper", daemon=True),
            threading.Thread(target=deliverer.run, name="deliverer", daemon=True),
        ]
        for thread in beside:
            thread.start()
        supervisor.run()
        sweeper.stop()
        deliverer.stop()
        for thread in beside:
            thread.join(STOP_SECONDS)
    database.close()
    return 0


class Supervisor:
    """Owns `worker_slots` slots. `run` it, or call `step` until `is_done`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        owner: str,
        boot_id: str,
        command: Sequence[str] = TRAINER_COMMAND,
        *,
        clock: Clock,
        listener: Listener | None = None,
        observations: Observations | None = None,
    ) -> None:
        """Without a `listener` it only polls."""
        self.attempts: list[Attempt] = []
        self.work_directory = settings.cache_directory / "work" / owner
        self.observations = observations or Observations()
        self.on_discard: Callable[[Path], None] = lambda directory: None
        self.waiting = WaitingTrainers(settings, command, clock)
        self._settings = settings
        self._database = database
        self._owner = owner
        self._boot_id = boot_id
        self._command = command
        self._clock = clock
        self._listener = listener
        self._released = False  # whether the leases of our previous boot are taken back
        self._look_at = self._say_at = clock.now()
        self._labels = parse_labels(settings.worker_labels)
        self._retries: list[float] = []  # when jobs that failed here may be claimed again
        self._stop_by: float | None = None
        self._log = structlog.get_logger().bind(worker=owner)
        self._waker = Waker()

    @property
    def wakeup_fd(self) -> int:
        """Where the kernel may write the numbers of signals."""
        return self._waker.writer

    @property
    def is_done(self) -> bool:
        """Whether it was stopped and holds nothing any more, or gave up giving it back."""
        if self._stop_by is None:
            return False
        return not self.attempts or self._clock.now() >= self._stop_by

    def run(self) -> None:
        """Works until it is stopped."""
        self._log.info("worker started", slots=self._settings.worker_slots)
        while not self.is_done:
            self.step()
        self._leave()
        self.close()
        self._log.info("worker stopped")

    def step(self, longest: float | None = None) -> None:
        """Waits until something happens, at most `longest` seconds, and does what is due."""
        self._wait(longest)
        if self._listener is not None:
            self._listener.step()
        for attempt in list(self.attempts):
            attempt.step()
            if attempt.is_over:
                self._let_go(attempt)
        if self._stop_by is not None:
            self.waiting.close()
            return
        if self._clock.now() >= self._look_at:
            self._look()
        self.waiting.step(self._free_slots())  # a job that waits does not wait for this

    def wake(self) -> None:
        """Has it look at the jobs now. For other threads and for signal handlers."""
        self._waker.wake()

    def stop(self) -> None:
        """Stops claiming, has the trainers save and stop, and gives their jobs back."""
        if self._stop_by is not None:
            return
        self._log.info("stopping", attempts=len(self.attempts))
        self._stop_by = self._clock.now() + self._settings.stop_grace_seconds + STOP_SECONDS
        for attempt in self.attempts:
            attempt.stop()

    def close(self) -> None:
        """Kills whatever is left. Leases that could not be given back run out."""
        self.waiting.close()
        for attempt in self.attempts:
            attempt.process.close()
        if self._listener is not None:
            self._listener.close()
        self._waker.close()

    def _wait(self, longest: float | None) -> None:
        due = self._next_due() - self._clock.now()
        timeout = max(0.0, due if longest is None else min(due, longest))
        with selectors.DefaultSelector() as selector:
            selector.register(self._waker.pipe, selectors.EVENT_READ)
            if self._listener is not None:
                selector.register(self._listener.pipe, selectors.EVENT_READ)
            for attempt in self.attempts:
                if attempt.is_reading:
                    selector.register(attempt.process.reports, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(timeout)}
        woken = self._waker.drain() if self._waker.pipe in ready else False
        if self._listener is not None and self._listener.pipe in ready:
            self._listener.drain()
            woken = True
        if woken:
            self._look_at = self._clock.now()
            for attempt in self.attempts:
                attempt.look()

    def _next_due(self) -> float:
        due = [attempt.next_due() for attempt in self.attempts]
        if self._listener is not None:
            due.append(self._listener.next_due())
        due.append(self._look_at if self._stop_by is None else self._stop_by)
        waiting_due = self.waiting.next_due(self._free_slots())
        if waiting_due is not None:
            due.append(waiting_due)
        return min(due)

    def _look(self) -> None:
        """Fills the free slots. A busy worker looks again when a slot is free."""
        now = self._clock.now()
        self._retries = [moment for moment in self._retries if moment > now]
        self._look_at = min([now + self._settings.poll_seconds, *self._retries])
        try:
            self._release_previous_boot()
            self._say(now)
            while len(self.attempts) < self._settings.worker_slots:
                if not self._claim():
                    return
        except Unavailable as error:
            self._log.warning("cannot look for jobs", error=error.message)
            self._look_at = self._clock.now() + RETRY_SECONDS

    def _release_previous_boot(self) -> None:
        if self._released:
            return
        with self._database.write() as session:
            outcomes = leases.release_previous_boot(
                session, self._owner, self._boot_id, max_attempts=self._settings.max_attempts
            )
        self._released = True
        for outcome in outcomes:
            self._log.warning("took back", job=outcome.job_id, status=outcome.status)

    def _say(self, now: float) -> None:
        """That this worker runs, as often as leases are renewed."""
        if now < self._say_at:
            return
        with self._database.write() as session:
            workers.say(
                session,
                self._owner,
                self._boot_id,
                self._settings.worker_slots,
                self._settings.worker_labels,
            )
        self._say_at = now + self._settings.lease_seconds / HEARTBEATS_PER_LEASE

    def _leave(self) -> None:
        with suppress(Unavailable), self._database.write() as session:
            workers.leave(session, self._owner, self._boot_id)

    def _claim(self) -> bool:
        claimed_at = self._clock.now()
        with self._database.write() as session:
            claim = leases.claim(
                session,
                self._owner,
                self._boot_id,
                self._settings.lease_seconds,
                self._labels,
            )
        if claim is None:
            return False
        self._start(claim, claimed_at)
        return True

    def _start(self, claim: Claim, claimed_at: float) -> None:
        number = claim.failures + 1 if claim.duty == "check" else claim.attempt
        directory = self.work_directory / f"{claim.job_id}-{claim.duty}-{number}"
        slot = min(self._free_slots())
        environment = trainer_environment(self._settings, slot)
        # A check needs nothing of what a trainer loads while it waits; what follows the check does.
        waiting = None if claim.duty == "check" else self.waiting.take(slot)
        try:
            process = TrainerProcess(claim, directory, environment, self._command, waiting)
        except OSError as error:
            self._log.exception("trainer did not start", job=claim.job_id)
            self._fail_start(claim, error)
            return
        self.attempts.append(
            Attempt(claim, process, self._database, self._settings, self._clock, claimed_at, slot)
        )

    def _free_slots(self) -> set[int]:
        taken = {attempt.slot for attempt in self.attempts}
        return set(range(self._settings.worker_slots)) - taken

    def _fail_start(self, claim: Claim, error: OSError) -> None:
        message = f"The worker could not start a trainer: {error.strerror}."
        most = self._settings.max_attempts
        with suppress(LeaseLost), self._database.write() as session:
            outcome = leases.fail(session, claim, "internal", message, max_attempts=most)
            self._look_again(outcome)

    def _let_go(self, attempt: Attempt) -> None:
        self.attempts.remove(attempt)
        status = None if attempt.outcome is None else attempt.outcome.status
        self.observations.ended(attempt, status)
        self.on_discard(attempt.process.directory)
        self._look_at = self._clock.now()  # a slot is free
        if attempt.outcome is not None:
            self._look_again(attempt.outcome)

    def _look_again(self, outcome: Outcome) -> None:
        """When the job that waits because it failed may be claimed."""
        if outcome.retry_seconds:
            self._retries.append(self._clock.now() + outcome.retry_seconds)


def _prepare_database(settings: Settings) -> None:
    """Migrates, waiting for a database that starts later than the worker."""
    log = structlog.get_logger()
    while True:
        try:
            migrate(settings.resolved_database_url)
            return
        except Unavailable as error:
            log.warning("waiting for the database", error=error.message)
            time.sleep(RETRY_SECONDS)


def _handle_signals(supervisor: Supervisor) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        supervisor.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # only to end the wait
    signal.set_wakeup_fd(supervisor.wakeup_fd, warn_on_full_buffer=False)


if __name__ == "__main__":
    sys.exit(main(load_settings()))
