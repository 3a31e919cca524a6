"""What can be done to a service: each kind of fault, whom it strikes and how it is mended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import redis

from core import doorbell
from tests.chaos.stack import LEASE, Stack, Worker
from tests.chaos.watch import Trainer
from tests.chaos.wire import Request

HOUR = 3600.0  # seconds

PHASES = (
    *("checking", "starting", "preparing", "zero_shot", "training", "combining"),
    *("evaluating", "exporting"),
)
WRITES = ("checkpoint_write", "artifact_upload")
ALL = (*PHASES, *WRITES)


@dataclass(frozen=True)
class Strike:
    """Everything a fault may need. There is no trainer where a sweeper deletes or a job is
    published, and no request where a phase is aimed at."""

    stack: Stack
    worker: Worker
    seconds: float  # drawn: how long it lasts, from 0 to 1 of what the kind allows
    trainer: Trainer | None
    request: Request | None


@dataclass(frozen=True)
class Kind:
    """One kind of fault. It begins at once; its text says what was done."""

    begin: Callable[[Strike], str]
    aims: tuple[str, ...]
    weight: int = 1
    is_outage: bool = False  # of something that all share: one at a time
    needs_all: bool = False  # means nothing while something is away


def _kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> bool:
    with suppress(ProcessLookupError):
        if pid is not None:
            os.kill(pid, number)
            return True
    return False


def _trainer_pid(strike: Strike) -> int | None:
    if strike.trainer is not None:
        return strike.trainer.pid
    return strike.worker.trainer()


def kill_trainer(strike: Strike) -> str:
    pid = _trainer_pid(strike)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    return f"trainer {pid} killed"


def kill_supervisor(strike: Strike) -> str:
    pid = strike.worker.pid
    _kill(pid)
    return f"supervisor {pid} of worker {strike.worker.number} killed"


def kill_sweeper(strike: Strike) -> str:
    return f"{kill_supervisor(strike)} while its sweeper deleted"


def kill_consumer(strike: Strike) -> str:
    pid = strike.worker.child("worker.consumer")
    _kill(pid)
    return f"consumer {pid} of worker {strike.worker.number} killed"


def kill_api(strike: Strike) -> str:
    pid = strike.stack.api.pid
    _kill(pid)
    return f"API {pid} killed"


def _frozen(strike: Strike, pids: list[int | None], what: str) -> str:
    """Longer than a lease, so that somebody else has the job when they wake."""
    seconds = LEASE * (1.3 + strike.seconds)
    stopped = [pid for pid in pids if _kill(pid, signal.SIGSTOP)]
    strike.stack.later(seconds, lambda: [_kill(pid, signal.SIGCONT) for pid in stopped])
    return f"{what} {stopped} frozen for {seconds:.1f} s"


def freeze_trainer(strike: Strike) -> str:
    return _frozen(strike, [_trainer_pid(strike)], "trainer")


def freeze_supervisor(strike: Strike) -> str:
    return _frozen(strike, [strike.worker.pid], "supervisor")


def freeze_worker(strike: Strike) -> str:
    consumer = strike.worker.child("worker.consumer")
    return _frozen(strike, [strike.worker.pid, _trainer_pid(strike), consumer], "all processes")


def restart_redis(strike: Strike) -> str:
    seconds = 0.5 + 4 * strike.seconds
    strike.stack.redis.stop()
    strike.stack.later(seconds, strike.stack.redis.start)
    return f"Redis stopped, its messages lost, back after {seconds:.1f} s"


def restart_postgresql(strike: Strike) -> str:
    seconds = 0.5 + 1.5 * LEASE * strike.seconds  # now and then longer than a lease
    strike.stack.postgresql.crash()
    strike.stack.later(seconds, strike.stack.postgresql.start)
    return f"PostgreSQL crashed, back after {seconds:.1f} s"


def restart_store(strike: Strike) -> str:
    seconds = 0.5 + 9 * strike.seconds
    strike.stack.swift.kill()
    strike.stack.later(seconds, strike.stack.swift.start)
    return f"the object store killed, back after {seconds:.1f} s"


def cut_database(strike: Strike) -> str:
    """Long enough that the worker must fence itself."""
    seconds = LEASE * (1.3 + strike.seconds)
    strike.worker.database_line.cut()
    strike.stack.later(seconds, strike.worker.database_line.mend)
    return f"worker {strike.worker.number} cut from the database for {seconds:.1f} s"


def cut_store(strike: Strike) -> str:
    seconds = 1 + 8 * strike.seconds
    strike.worker.store_line.cut()
    strike.stack.later(seconds, strike.worker.store_line.mend)
    return f"worker {strike.worker.number} cut from the store for {seconds:.1f} s"


def lose_answer(strike: Strike) -> str:
    """The database does what it was asked, and nobody hears of it."""
    assert strike.request is not None
    strike.request.loses_answer = True
    return "the answer to the commit lost"


def fill_worker_disk(strike: Strike) -> str:
    seconds = 1 + 4 * strike.seconds
    strike.worker.disk.fill()
    strike.stack.later(seconds, strike.worker.disk.free)
    return f"the disk of worker {strike.worker.number} full for {seconds:.1f} s"


def fill_store(strike: Strike) -> str:
    seconds = 1 + 4 * strike.seconds
    strike.stack.store_disk.fill()
    strike.stack.later(seconds, strike.stack.store_disk.free)
    return f"the store's disk full for {seconds:.1f} s"


def fill_spool(strike: Strike) -> str:
    seconds = 1 + 4 * strike.seconds
    strike.stack.spool_disk.fill()
    strike.stack.later(seconds, strike.stack.spool_disk.free)
    return f"the API's spool full for {seconds:.1f} s"


def skew_clock(strike: Strike) -> str:
    seconds = 2 * LEASE + 10 * strike.seconds
    offset = HOUR if strike.worker.number % 2 else -HOUR
    strike.worker.clock.set(offset)
    strike.stack.later(seconds, lambda: strike.worker.clock.set(0.0))
    return (
        f"the clock of worker {strike.worker.number} moved by {offset:+.0f} s for {seconds:.1f} s"
    )


def double_doorbells(strike: Strike) -> str:
    rung = sum(doorbell.ring(strike.stack.settings) for _ in range(30))
    return f"{rung} doorbells rung for nothing"


def drop_doorbells(strike: Strike) -> str:
    """Nobody listens for a while, and what rang meanwhile is deleted."""
    seconds = 2 + 3 * strike.seconds
    consumers = [worker.child("worker.consumer") for worker in strike.stack.workers]
    stopped = [pid for pid in consumers if _kill(pid, signal.SIGSTOP)]

    def drop() -> None:
        with suppress(redis.RedisError):
            redis.Redis.from_url(strike.stack.redis.url).delete(doorbell.QUEUE_NAME)
        for pid in stopped:
            _kill(pid, signal.SIGCONT)

    strike.stack.later(seconds, drop)
    return f"doorbells of {seconds:.1f} s dropped"


FILLS = ("fill_worker_disk", "fill_store", "fill_spool")  # need disks of their own
KINDS: dict[str, Kind] = {
    "kill_trainer": Kind(kill_trainer, ALL, 4),
    "kill_supervisor": Kind(kill_supervisor, (*ALL, "publication"), 4),
    "kill_sweeper": Kind(kill_sweeper, ("purge",), 2),
    "kill_api": Kind(kill_api, ALL, 2),
    "kill_consumer": Kind(kill_consumer, PHASES, 1),
    "freeze_trainer": Kind(freeze_trainer, ALL, 2),
    "freeze_supervisor": Kind(freeze_supervisor, (*ALL, "publication", "purge"), 3),
    "freeze_worker": Kind(freeze_worker, ALL, 2),
    "restart_redis": Kind(restart_redis, PHASES, 3, is_outage=True),
    "restart_postgresql": Kind(
        restart_postgresql, (*ALL, "publication", "purge"), 4, is_outage=True
    ),
    "restart_store": Kind(restart_store, (*ALL, "purge"), 4, is_outage=True),
    "cut_database": Kind(cut_database, (*ALL, "publication"), 2),
    "cut_store": Kind(cut_store, (*ALL, "purge"), 2),
    "lose_answer": Kind(lose_answer, ("publication",), 1),
    "fill_worker_disk": Kind(fill_worker_disk, ALL, 3),
    "fill_store": Kind(fill_store, (*WRITES, "training", "exporting"), 2, is_outage=True),
    "fill_spool": Kind(fill_spool, PHASES, 1),
    "skew_clock": Kind(skew_clock, PHASES, 3),
    "double_doorbells": Kind(double_doorbells, PHASES, 2, needs_all=True),
    "drop_doorbells": Kind(drop_doorbells, PHASES, 2, needs_all=True),
}
