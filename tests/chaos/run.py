"""One run of chaos: waits until something is in the phase that a planned fault is aimed at,
strikes, and writes down what it hit."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.provenance import commit
from tests.chaos.faults import FILLS, KINDS, PHASES, Strike
from tests.chaos.schedule import Planned, schedule
from tests.chaos.specs import Spec
from tests.chaos.stack import Stack, Worker
from tests.chaos.users import Users, wait_for_all
from tests.chaos.watch import Trainer, Watch
from tests.chaos.wire import Request

GAP = 1.2  # seconds between two faults
UNCOUNTED = ("publication", "purge")  # what few jobs would live to see if the others took all
OUTAGE_SECONDS = 12.0  # in which nothing else that all share is taken away
ENDING_SECONDS = 900.0  # for all jobs to end once nothing strikes any more


@dataclass(frozen=True)
class Struck:
    """A fault as it was."""

    number: int  # of the schedule
    kind: str
    aim: str
    at: float  # seconds since the run began
    worker: int
    job: str
    attempt: int | None
    phase: str | None
    step: int | None
    request: str | None  # what was on the wire
    did: str

    @property
    def hit(self) -> str:
        """What it is counted under: the phase it came to, which may be the one after that it was
        aimed at."""
        return str(self.phase) if self.aim in PHASES and self.phase in PHASES else self.aim

    def line(self) -> str:
        on_wire = f" ({self.request})" if self.request else ""
        step = "-" if self.step is None else self.step
        return (
            f"{self.at:7.1f} s  #{self.number:<3} {self.kind:<18} {self.job} attempt "
            f"{self.attempt or '-'} {self.phase} step {step}: {self.aim}{on_wire}: {self.did}"
        )


class Run:
    """The schedule against a stack. `record` keeps what was struck, for a run that goes on."""

    def __init__(
        self,
        stack: Stack,
        folder: Path,
        specs: Sequence[Spec],
        *,
        seed: int,
        faults: int,
        jobs: int,
        say: Callable[[str], None],
    ) -> None:
        self.struck: list[Struck] = []
        self.seconds_before = 0.0  # of this run's earlier parts
        self.seconds_of_faults = 0.0  # from the first job to the end of the last
        self._stack = stack
        self._say = say
        self._parts = folder / "parts.jsonl"
        self._record = folder / "faults.jsonl"
        if self._record.is_file():
            lines = self._record.read_text().splitlines()
            self.struck = [Struck(**json.loads(line)) for line in lines]
            self.seconds_before = max((one.at for one in self.struck), default=0.0)
        done = {one.number for one in self.struck}
        self.left_out = () if stack.store_disk.is_own else FILLS
        planned = schedule(seed, faults, self.left_out)
        self._pending = [one for one in planned if one.number not in done]
        self._hits: Counter[str] = Counter(
            one.job for one in self.struck if one.aim not in UNCOUNTED
        )
        self._most = 1 + faults // max(jobs, 1)  # in one job's phases and uploads
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._quiet_until = 0.0
        self._outage_until = 0.0
        self._over = False
        self.watch = Watch(stack, self._on_look)
        self.users = Users(stack, self.watch, folder, specs, seed=seed, jobs=jobs)

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self._began

    @property
    def parts(self) -> list[dict[str, Any]]:
        """When the run began and was gone on with, and the commit that then was checked out."""
        return [json.loads(line) for line in self._parts.read_text().splitlines()]

    @property
    def n_pending(self) -> int:
        return len(self._pending)

    def go(self, minutes: float, enough: int) -> bool:
        """Strikes until `enough` faults have, or the time is over, then waits; whether every job
        ended."""
        self._began = time.monotonic()
        with self._parts.open("a") as out:
            out.write(json.dumps({"commit": commit(), "at": self.seconds_before}) + "\n")
        self.watch.start()
        self.users.start()
        deadline = time.monotonic() + 60 * minutes
        while len(self.struck) < enough and self._pending and time.monotonic() < deadline:
            time.sleep(0.3)
        with self._lock:
            self._over = True
        self._stack.calm_down()
        self.users.is_enough.set()
        self._say(f"{self.seconds:7.1f} s  no more faults; {self.n_pending} were left over")
        ended = wait_for_all(self.users, ENDING_SECONDS)
        self.seconds_of_faults = self.seconds
        return ended

    def stop(self) -> None:
        """Call after `go`, however that ended."""
        self._over = True
        self.users.stop()
        self.watch.stop()

    def on_request(self, worker: Worker, request: Request) -> None:
        """Something passes a worker's relay."""
        trainer = self.watch.trainers.get(worker.number)
        if trainer is not None and trainer.job != request.job:
            trainer = None
        self._maybe(worker, request.aim, trainer, request, 1.0)

    def _on_look(self, worker: Worker, trainer: Trainer) -> None:
        self._maybe(worker, trainer.aim, trainer, None, time.monotonic() - trainer.since)

    def _maybe(
        self,
        worker: Worker,
        aim: str,
        trainer: Trainer | None,
        request: Request | None,
        since: float,
    ) -> None:
        now = time.monotonic()
        if self._over or now < self._quiet_until:
            return
        job = request.job if request is not None else trainer.job if trainer is not None else ""
        with self._lock:
            planned = self._choose(aim, job, since, now)
            if planned is None:
                return
            self._pending.remove(planned)
            self._quiet_until = now + GAP
            if KINDS[planned.kind].is_outage:
                self._outage_until = now + OUTAGE_SECONDS
            self._hits[job] += planned.aim not in UNCOUNTED
            strike = Strike(self._stack, worker, planned.seconds, trainer, request)
            did = KINDS[planned.kind].begin(strike)
            self._note(planned, worker, job, trainer, request, did)

    def _choose(self, aim: str, job: str, since: float, now: float) -> Planned | None:
        """The next of the schedule that may strike this, now."""
        if self._over or now < self._quiet_until:
            return None
        if self._hits[job] >= self._most and aim not in UNCOUNTED:
            return None
        is_whole = now >= self._outage_until and self._stack.is_whole
        for planned in self._pending:
            kind = KINDS[planned.kind]
            may = is_whole or not (kind.is_outage or kind.needs_all)
            if may and planned.aim == aim and since >= planned.delay:
                return planned
        return None

    def _note(
        self,
        planned: Planned,
        worker: Worker,
        job: str,
        trainer: Trainer | None,
        request: Request | None,
        did: str,
    ) -> None:
        if trainer is not None:
            trainer.look()  # what it printed last before it was struck
        row = self.watch.rows.get(job)
        step = request.step if request is not None else None
        struck = Struck(
            number=planned.number,
            kind=planned.kind,
            aim=planned.aim,
            at=round(self.seconds, 2),
            worker=worker.number,
            job=job,
            attempt=trainer.attempt if trainer is not None else row.attempt if row else None,
            phase=trainer.aim if trainer is not None else row.status if row else None,
            step=step if step is not None else self.watch.step_of(job),
            request=request.what if request is not None else None,
            did=did,
        )
        self.struck.append(struck)
        with self._record.open("a") as out:
            out.write(json.dumps(asdict(struck)) + "\n")
        self._say(struck.line())


def counts(struck: list[Struck]) -> dict[str, Any]:
    """Faults by kind, by what they hit, and of each kind by what it hit."""
    table: dict[str, dict[str, int]] = {}
    for one in struck:
        row = table.setdefault(one.kind, {})
        row[one.hit] = row.get(one.hit, 0) + 1
    return {
        "kinds": dict(sorted(Counter(one.kind for one in struck).items())),
        "aims": dict(sorted(Counter(one.hit for one in struck).items())),
        "table": {kind: dict(sorted(row.items())) for kind, row in sorted(table.items())},
    }
