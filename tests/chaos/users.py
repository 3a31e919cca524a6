"""Those who use the service meanwhile: they upload, ask for jobs, pause, resume and cancel them.

They do as clients should: what was not answered is asked again with the same idempotency key, and
what is refused because it is too late is let be.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import openai

from tests.chaos.specs import BY_NAME, Spec, copy_of, make_archives
from tests.chaos.stack import Stack
from tests.chaos.watch import Watch

Answer = TypeVar("Answer")
Wish = Literal["finish", "pause", "pause_twice", "cancel", "keep"]
ENDED = ("succeeded", "failed", "cancelled")
OUTSTANDING = 6  # jobs that wait or run: twice what the workers can take
LOOK_SECONDS = 0.2


@dataclass
class Asked:
    """A job as its user remembers it."""

    number: int
    spec: str
    wish: Wish
    file: str
    job: str
    done: bool = False  # whether the wish was carried out, or came too late


class Users:
    """A thread that keeps the service busy until it is told that it is enough."""

    def __init__(
        self,
        stack: Stack,
        watch: Watch,
        folder: Path,
        specs: Sequence[Spec],
        *,
        seed: int,
        jobs: int,
    ) -> None:
        self.asked: list[Asked] = []
        self.refused: list[str] = []  # what the service should have taken
        self.is_enough = threading.Event()  # no more jobs than `jobs` are wanted
        self._stack, self._watch, self._folder = stack, watch, folder
        self._specs, self._seed, self._jobs = specs, seed, jobs
        self._archives = make_archives(folder / "archives")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._record = folder / "jobs.jsonl"
        if self._record.is_file():
            lines = self._record.read_text().splitlines()
            self.asked = [Asked(**json.loads(line)) for line in lines]

    def start(self) -> None:
        self._client = self._stack.client()
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    @property
    def all_ended(self) -> bool:
        """Whether as many jobs as were wanted were asked for, and have ended."""
        enough = len(self.asked) >= self._jobs and self.is_enough.is_set()
        return enough and all(self._status(asked) in ENDED for asked in self.asked)

    def _run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            for asked in self.asked:
                if not asked.done and self._status(asked) in ENDED:
                    asked.done = True
                elif not asked.done:
                    self._carry_out(asked)
            waiting = sum(self._status(asked) not in ENDED for asked in self.asked)
            wants_more = len(self.asked) < self._jobs or not self.is_enough.is_set()
            if waiting < min(OUTSTANDING, self._jobs) and wants_more:
                self._ask_for_another()

    def _status(self, asked: Asked) -> str:
        row = self._watch.rows.get(asked.job)
        return row.status if row else "queued"

    def _ask_for_another(self) -> None:
        number = len(self.asked)
        spec = self._specs[number % len(self._specs)]
        inputs = [self._finished(name) for name in spec.inputs]
        if None in inputs:
            training = [spec for spec in self._specs if not spec.inputs]
            spec, inputs = training[number % len(training)], []  # another, meanwhile
        parents = [asked for asked in inputs if asked is not None]
        file = parents[0].file if parents else self._upload(spec, number)
        body = spec.request(file, [asked.job for asked in parents])
        body["extra_headers"] = {"Idempotency-Key": str(uuid.uuid4())}
        job = self._insist(lambda: self._client.fine_tuning.jobs.create(**body))
        draws = random.Random(f"{self._seed}:wish:{number}")
        wish = _wish(draws, first=number < len(self._specs))
        asked = Asked(number, spec.name, wish, file, job.id)
        self.asked.append(asked)
        with self._record.open("a") as out:
            out.write(json.dumps(asdict(asked)) + "\n")

    def _finished(self, name: str) -> Asked | None:
        """The newest succeeded job of a specification."""
        for asked in reversed(self.asked):
            if asked.spec == name and self._status(asked) == "succeeded":
                return asked
        return None

    def _upload(self, spec: Spec, number: int) -> str:
        archive = self._archives[spec.archive]
        copy = copy_of(archive, number, self._folder / "copies" / archive.name)
        key = {"Idempotency-Key": str(uuid.uuid4())}

        def upload() -> Any:
            with copy.open("rb") as content:
                return self._client.files.create(
                    file=(copy.name, content), purpose="fine-tune", extra_headers=key
                )

        return str(self._insist(upload).id)

    def _carry_out(self, asked: Asked) -> None:
        row = self._watch.rows.get(asked.job)
        if asked.wish == "finish":
            asked.done = True
        elif row is None or row.status in ("validating_files", "queued"):
            return
        elif asked.wish in ("pause", "pause_twice"):
            self._pause(asked, row.status, row.phase, row.step)
        elif row.status == "running" and row.step > 30:
            asked.done = True
            extra = {"keep_checkpoint": True} if asked.wish == "keep" else None
            self._insist(lambda: self._client.fine_tuning.jobs.cancel(asked.job, extra_body=extra))

    def _pause(self, asked: Asked, status: str, phase: str | None, step: int) -> None:
        jobs = self._client.fine_tuning.jobs
        is_combination = bool(BY_NAME[asked.spec].inputs)
        if status == "paused":
            self._insist(lambda: jobs.resume(asked.job))
            asked.done = asked.wish == "pause"
            asked.wish = "pause"
        elif status == "running" and (step > 20 or (is_combination and phase == "combining")):
            self._insist(lambda: jobs.pause(asked.job))

    def _insist(self, ask: Callable[[], Answer]) -> Answer:
        """Asks until there is an answer. What is refused because a job has ended is let be."""
        while True:
            try:
                return ask()
            except openai.ConflictError as error:
                if "job_already_ended" in str(error) or "cancel" in str(error):
                    return None  # type: ignore[return-value]
            except (openai.APIConnectionError, openai.InternalServerError):
                pass
            except openai.APIStatusError as error:
                self.refused.append(f"{error.status_code} {error.message}"[:500])
                raise
            if self._done.wait(0.3):
                raise TimeoutError("nobody waits for the answer any more")


def _wish(draws: random.Random, *, first: bool) -> Wish:
    """Others read the first job of each specification, so nobody cancels that."""
    drawn = draws.random()
    if drawn < 0.2:
        return "pause"
    if drawn < 0.3:
        return "pause_twice"
    if drawn < 0.38 and not first:
        return "cancel"
    if drawn < 0.45 and not first:
        return "keep"
    return "finish"


def wait_for_all(users: Users, seconds: float) -> bool:
    """Whether every job ended in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if users.all_ended:
            return True
        time.sleep(0.3)
    return False
