"""A trainer's log on its way from this machine's disk to everybody who may read it.

What was printed is written to the database every two seconds, without secrets, by the worker that
holds the job: when the worker dies with its disk, no more than that is lost. A log never costs a
job anything: what goes wrong here is logged and left.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import structlog

from core.errors import Unavailable
from core.records import job_logs
from core.records.engine import Database
from core.records.leases import Claim, LeaseLost
from core.redaction import Redactor
from core.settings import MIB
from worker.clock import Clock

SHIP_SECONDS = 2.0
RETRY_SECONDS = 10.0  # after a database that did not answer
MOST_BYTES = MIB  # shipped at once; of what a trainer printed beyond that the beginning is left out
_LONGEST_LINE = 64 * 1024  # bytes; a longer one is cut, for lines are shipped whole


class LogShipper:
    """`step` when it is due; `finish` when the trainer has ended and its job is still held."""

    def __init__(
        self, claim: Claim, path: Path, database: Database, clock: Clock, redactor: Redactor
    ) -> None:
        self._claim = claim
        self._path = path
        self._database = database
        self._clock = clock
        self._redactor = redactor
        self._read_up_to = 0
        self._partial = b""  # the beginning of a line whose end is not printed yet
        self._unshipped = self._heading()
        self._due_at = clock.now()
        self._log = structlog.get_logger().bind(job=claim.job_id)

    def next_due(self) -> float:
        """When `step` has something to do."""
        return self._due_at

    def step(self) -> None:
        """Ships what was printed since the last time."""
        if self._clock.now() < self._due_at:
            return
        self._due_at = self._clock.now() + SHIP_SECONDS
        try:
            self._ship()
        except Unavailable as error:
            self._log.warning("the log waits", error=error.message)
            self._due_at = self._clock.now() + RETRY_SECONDS

    def finish(self) -> None:
        """Ships all that is left. Raises Unavailable: then call it again."""
        self._read()
        self._unshipped += self._redacted(self._partial)
        self._partial = b""
        self._ship()

    def _ship(self) -> None:
        try:
            self._read()
            if self._unshipped:
                with self._database.write() as session:
                    job_logs.append(session, self._claim, self._unshipped)
        except (Unavailable, LeaseLost):
            raise
        except Exception:
            self._log.exception("the log could not be shipped")
        self._unshipped = b""

    def _read(self) -> None:
        """Takes in whole lines that are new in the file."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                skipped = max(0, size - self._read_up_to - MOST_BYTES)
                file.seek(self._read_up_to + skipped)
                data = file.read(MOST_BYTES)
        except OSError as error:
            self._log.warning("the log cannot be read", error=str(error))
            return
        self._read_up_to += skipped + len(data)
        if skipped:
            self._unshipped += self._redacted(self._partial)
            self._unshipped += f"\n[{skipped} bytes were left out]\n".encode()
            self._partial = b""
        text = self._partial + data
        whole = text.rfind(b"\n") + 1 or (len(text) if len(text) > _LONGEST_LINE else 0)
        self._unshipped += self._redacted(text[:whole])
        self._partial = text[whole:]

    def _redacted(self, data: bytes) -> bytes:
        return self._redactor.redact(data.decode("utf-8", "replace")).encode()

    def _heading(self) -> bytes:
        claim = self._claim
        what = "checking the files" if claim.duty == "check" else f"attempt {claim.attempt}"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return f"--- {what}, {now} ---\n".encode()
