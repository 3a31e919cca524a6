"""What somebody has to do now and then, and what may take long: in a thread of the worker.

It takes back leases that ran out, makes the next jobs of comparisons, rings again for jobs nobody
has claimed, deletes the objects of discarded checkpoints, the parts of ended uploads and the
objects of ended jobs that no row names (nobody else deletes objects) and the directories of
attempts, and forgets old requests and webhooks. Its calls go to the network and to disks; in the
supervisor's loop they would delay heartbeats.
"""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from core import doorbell
from core.comparisons.advance import advance
from core.errors import ServiceError, StorageFault
from core.objects import ObjectStore
from core.records import (
    checkpoints,
    comparisons,
    deletion,
    deliveries,
    garbage,
    idempotency,
    leases,
    models,
    outbox,
    project_deletion,
    uploads,
    workers,
)
from core.records.engine import Database
from core.settings import Settings

MOST_RINGS = 16  # in one sweep: each worker that hears one looks for as many jobs as it can take
QUIET_SECONDS = 3600.0  # after a job's end, before its unnamed objects are deleted
UPLOAD_QUIET_SECONDS = 60.0  # after an upload's end: a second request may still read its parts


class Sweeper:
    """`run` it in a thread, or call `sweep` once."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        settings: Settings,
        wake: Callable[[], None],
        quiet_seconds: float = QUIET_SECONDS,
        on_storage_fault: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` has the worker beside it look at the jobs."""
        self._on_storage_fault = on_storage_fault
        self._database = database
        self._store = store
        self._settings = settings
        self._wake = wake
        self._quiet_seconds = max(quiet_seconds, 2 * settings.lease_seconds)
        self._tasks: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._log = structlog.get_logger()

    def run(self) -> None:
        """Sweeps every `sweep_seconds`, and discards directories as they come, until `stop`."""
        while True:
            self.sweep()
            if not self._discard_until_next_sweep():
                return

    def stop(self) -> None:
        """Ends `run` after what it is doing. For other threads."""
        self._tasks.put(None)

    def discard(self, directory: Path) -> None:
        """Deletes an attempt's directory, soon. For other threads."""
        self._tasks.put(directory)

    def discard_leftovers(self, work_directory: Path) -> None:
        """Deletes what attempts of the worker's previous life left behind, soon."""
        if work_directory.is_dir():
            for directory in work_directory.iterdir():
                self.discard(directory)

    def sweep(self) -> None:
        """One round. What fails is logged and tried again in the next."""
        for duty in (
            self._reap,
            self._advance,
            self._ring,
            self._prune,
            self._purge,
            self._purge_uploads,
            self._expire_checkpoints,
            self._doom_deleted,
            self._delete_doomed,
            self._delete_projects,
            self._forget,
        ):
            try:
                duty()
            except ServiceError as error:
                if isinstance(error, StorageFault):
                    self._on_storage_fault()
                self._log.warning("sweep failed", duty=duty.__name__, error=error.message)
            except Exception:
                self._log.exception("sweep failed", duty=duty.__name__)

    def _reap(self) -> None:
        with self._database.write() as session:
            outcomes = leases.reap(session, max_attempts=self._settings.max_attempts)
        for outcome in outcomes:
            self._log.warning("lease ran out", job=outcome.job_id, status=outcome.status)

    def _advance(self) -> None:
        with self._database.read() as session:
            open_comparisons = comparisons.open_ids(session)
        for comparison_id in open_comparisons:
            with self._database.write() as session:
                made = advance(session, comparison_id, self._settings)
            if made:
                self._log.info("comparison advanced", comparison=comparison_id, jobs=made)
                self._wake()
                doorbell.ring(self._settings)

    def _ring(self) -> None:
        with self._database.write() as session:
            due = outbox.take_due(session)
        if not due:
            return
        self._wake()
        rung = sum(doorbell.ring(self._settings) for _ in due[:MOST_RINGS])
        self._log.info("rang again", jobs=len(due), heard_by_broker=rung)

    def _prune(self) -> None:
        """Deletes what discarded checkpoints are made of, but for parts that others share."""
        with self._database.write() as session:
            checkpoints.discard_stale(session, deletion.RETRY_SECONDS)
        with self._database.read() as session:
            discarded = checkpoints.discarded(session)
            shared = {job_id: checkpoints.usable_keys(session, job_id) for job_id in discarded}
        for job_id, rows in discarded.items():
            for key in checkpoints.keys(rows) - shared[job_id]:
                self._store.delete(key)
            with self._database.write() as session:
                checkpoints.forget(session, rows)

    def _purge(self) -> None:
        with self._database.read() as session:
            jobs = garbage.jobs_to_purge(session, self._quiet_seconds)
        for job_id in jobs:
            with self._database.read() as session:
                attempts = garbage.ended_attempts(session, job_id)
                named = garbage.named_keys(session, job_id)
            if attempts is None:
                continue
            unnamed = [
                item.key
                for item in self._store.list(f"jobs/{job_id}")
                if item.key not in named and _attempt_of(item.key) <= attempts
            ]
            for key in unnamed:
                self._store.delete(key)
            with self._database.write() as session:
                garbage.mark_purged(session, job_id)
            if unnamed:
                self._log.info("deleted unnamed objects", job=job_id, objects=len(unnamed))

    def _purge_uploads(self) -> None:
        with self._database.write() as session:
            expired = uploads.expire(session)
        if expired:
            self._log.info("uploads expired", uploads=expired)
        with self._database.read() as session:
            ended = uploads.to_purge(session, UPLOAD_QUIET_SECONDS)
        for upload_id in ended:
            for item in list(self._store.list(f"uploads/{upload_id}")):
                self._store.delete(item.key)
            with self._database.write() as session:
                uploads.mark_purged(session, upload_id)

    def _expire_checkpoints(self) -> None:
        days = self._settings.keep_checkpoints_days
        if days is None:
            return
        with self._database.write() as session:
            expired = models.expire_checkpoints(session, days * 86400.0)
        if expired:
            self._log.info("checkpoints expired", models=expired)

    def _doom_deleted(self) -> None:
        with self._database.read() as session:
            projects = deletion.projects_to_sweep(session, self._quiet_seconds)
        for project_id in projects:
            with self._database.write() as session:
                deletion.doom(session, project_id, self._quiet_seconds)

    def _delete_doomed(self) -> None:
        with self._database.read() as session:
            doomed = deletion.doomed(session)
        for key in doomed:
            below = [item.key for item in self._store.list(key)]
            for one in below or [key]:
                self._store.delete(one)
            with self._database.write() as session:
                deletion.lift(session, key)
        if doomed:
            self._log.info("deleted what nothing names", keys=len(doomed))

    def _delete_projects(self) -> None:
        with self._database.read() as session:
            projects = project_deletion.under_way(session)
        for project_id in projects:
            with self._database.write() as session:
                is_quiet = project_deletion.stop_jobs(session, project_id)
            if not is_quiet:
                continue
            with self._database.read() as session:
                prefixes = project_deletion.prefixes(session, project_id)
            for prefix in prefixes:
                for item in list(self._store.list(prefix)):
                    self._store.delete(item.key)
            with self._database.write() as session:
                project_deletion.remove_rows(session, project_id)
            self._log.info("project deleted", project=project_id)

    def _forget(self) -> None:
        with self._database.write() as session:
            idempotency.forget(session)
            deliveries.forget(session)
            workers.forget(session)
            deletion.forget(session)

    def _discard_until_next_sweep(self) -> bool:
        """False when it is time to stop. A discard brings the next sweep forward: harmless."""
        try:
            directory = self._tasks.get(timeout=self._settings.sweep_seconds)
        except queue.Empty:
            return True
        if directory is None:
            return False
        shutil.rmtree(directory, ignore_errors=True)
        return True


def _attempt_of(key: str) -> int:
    """The n of `jobs/{job}/attempts/{n}/...`; 0 of a key that has none."""
    parts = key.split("/")
    return int(parts[3]) if len(parts) > 3 and parts[3].isdigit() else 0
