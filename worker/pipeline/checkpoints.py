"""A training job's checkpoints: stored while it trains, and what an earlier attempt stored.

The state is copied to memory between two steps, which is all that training waits for; a thread
then writes it straight into the object store, under this attempt's prefix, and reports it. A
part that has not changed (the best state so far, a finished run) is stored once and named by
every checkpoint after. docs/decisions/checkpoints.md says what is promised of all this.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from torch import Tensor

from core.errors import NotFound, ServiceError
from core.jobs.checkpoint import CheckpointReference, StoredPart
from core.jobs.messages import Checkpoint, CheckpointRefused
from core.learning import snapshot
from core.learning.models import Head
from core.learning.snapshot import HostMemory, Snapshot
from core.learning.stored_state import DamagedState, encoded, read_state
from core.learning.trainer import TrainedState, Trainer, TrainingRun
from worker.pipeline.step_metrics import Row, RunLog, loaded_rows, stored_rows
from worker.pipeline.workspace import Workspace
from worker.stop_signal import StopRequested

_Part = tuple[dict[str, Tensor], dict[str, Any]]
_LOG, _BEST, _LAST = "log.", "best.", "last."


class Checkpoints:
    """Those of one job, for one attempt. Leaving the block waits for what is being stored."""

    def __init__(self, workspace: Workspace) -> None:
        """Fetches the newest checkpoint that is whole. Raises StorageFault."""
        self._workspace = workspace
        self._stop = workspace.reporter.stop
        self._memory = HostMemory()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self.storing: Future[None] | None = None  # the newest, until it is stored and after
        self._stored_at = time.monotonic()
        self._is_away = False  # whether the store failed last time
        self._loaded, self._parts = _fetch(workspace)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=True)

    def finished(self, run: int, like: Head) -> tuple[TrainingRun, list[Row]] | None:
        """What a run gave that was finished before; `like` is a head of the same classes."""
        loaded = self._loaded.get(f"{run}.finished")
        if loaded is None:
            return None
        tensors, facts = loaded
        best = snapshot.trained_state(_under(_BEST, tensors), facts["best"], like)
        last = best
        if facts["last"] is not None:
            last = snapshot.trained_state(_under(_LAST, tensors), facts["last"], like)
        validations = [(int(step), float(value)) for step, value in facts["validations"]]
        rows = loaded_rows(_under(_LOG, tensors), facts["columns"])
        return TrainingRun(best, last, validations), rows

    def interrupted(self, run: int, like: Head) -> tuple[Snapshot, list[Row]] | None:
        """Where a run stood when it was interrupted."""
        loaded = self._loaded.get(f"{run}.state")
        if loaded is None:
            return None
        tensors, facts = loaded
        best = self._loaded.get(f"{run}.best")
        chosen = None if best is None else snapshot.trained_state(*best, like)
        log = _under(_LOG, tensors)
        state = {name: tensor for name, tensor in tensors.items() if not name.startswith(_LOG)}
        rows = loaded_rows(log, facts["columns"])
        return Snapshot(facts["step"], state, facts, chosen), rows

    def drop(self, run: int, fault: ValueError) -> None:
        """The run's state is none that this version of the service can go on from."""
        del self._loaded[f"{run}.state"]
        self._workspace.reporter.warn(
            f"the stored state cannot be gone on from: {fault}. The run begins again", run=run
        )

    def keeper(self, run: int, log: RunLog) -> Keeper:
        """Who keeps the state of a run that trains now."""
        self._stored_at = time.monotonic()
        return Keeper(self, run, log)

    def is_due(self) -> bool:
        """Whether it is time for another, and the last one is stored; or to stop."""
        if self._stop.is_set:
            return True
        is_idle = self.storing is None or self.storing.done()
        seconds = self._workspace.settings.checkpoint_seconds
        return is_idle and time.monotonic() - self._stored_at >= seconds

    def keep(self, run: int, trainer: Trainer, log: RunLog) -> None:
        """Stores the state of a run between two steps. Raises StopRequested, once it is stored,
        when the trainer is to stop."""
        self.wait()  # its memory is used again
        taken = snapshot.take(trainer, self._memory)
        self._stored_at = time.monotonic()
        self.storing = self._thread.submit(self._store_state, run, taken, list(log.rows))
        if self._stop.is_set:
            self.wait()
            raise StopRequested

    def finish(self, run: int, result: TrainingRun, log: RunLog) -> None:
        """Stores what a run gave, so that it need not be trained again."""
        self.wait()
        self.storing = self._thread.submit(self._store_finished, run, result, list(log.rows))

    def wait(self) -> None:
        """Until what is being stored is stored, or could not be."""
        if self.storing is not None:
            self.storing.result()

    def _store_state(self, run: int, taken: Snapshot, rows: list[Row]) -> None:
        parts = {n: part for n, part in self._parts.items() if n.endswith(".finished")}
        try:
            if taken.best is not None:
                parts[f"{run}.best"] = self._store_best(run, taken.best)
            tensors, facts = _with_rows(taken.tensors, taken.facts, rows)
            name = f"run-{run}-step-{taken.step}"
            parts[f"{run}.state"] = self._put(name, tensors, facts)
        except ServiceError as fault:
            self._warn(run, taken.step, fault)
            return
        self._report(run, taken.step, parts)

    def _store_best(self, run: int, best: TrainedState) -> StoredPart:
        """Stored again only when it is another."""
        name = f"run-{run}-best-{best.step}"
        known = self._parts.get(f"{run}.best")
        if known is not None and known.object_key.endswith(f"/{name}.safetensors"):
            return known
        return self._put(name, *snapshot.trained_tensors(best))

    def _store_finished(self, run: int, result: TrainingRun, rows: list[Row]) -> None:
        best, best_facts = snapshot.trained_tensors(result.best)
        tensors = {f"{_BEST}{name}": tensor for name, tensor in best.items()}
        facts: dict[str, Any] = {"best": best_facts, "last": None}
        if result.last is not result.best:
            last, facts["last"] = snapshot.trained_tensors(result.last)
            tensors |= {f"{_LAST}{name}": tensor for name, tensor in last.items()}
        facts["validations"] = result.validations
        parts = {n: part for n, part in self._parts.items() if n.endswith(".finished")}
        step = result.last.step
        try:
            tensors, facts = _with_rows(tensors, facts, rows)
            parts[f"{run}.finished"] = self._put(f"run-{run}-finished", tensors, facts)
        except ServiceError as fault:
            self._warn(run, step, fault)
            return
        self._report(run, step, parts)

    def _put(
        self, name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> StoredPart:
        key = self._workspace.object_key(f"checkpoints/{name}.safetensors")
        stored = self._workspace.store.put_stream(key, encoded(tensors, facts))
        return StoredPart(object_key=stored.key, sha256=stored.sha256, size=stored.size)

    def _report(self, run: int, step: int, parts: dict[str, StoredPart]) -> None:
        self._parts, self._is_away = parts, False
        self._workspace.reporter.send(Checkpoint(run=run, step=step, parts=parts))

    def _warn(self, run: int, step: int, fault: ServiceError) -> None:
        """Training goes on: the store may be back before the state is needed."""
        if not self._is_away:
            self._workspace.reporter.warn(
                f"the checkpoint of step {step} could not be stored: {fault.message} "
                "Training goes on",
                run=run,
                step=step,
            )
        self._is_away = True


@dataclass(frozen=True)
class Keeper:
    """`core.learning.trainer.Keeper` of one run of a job."""

    checkpoints: Checkpoints
    run: int
    log: RunLog

    def is_due(self) -> bool:
        return self.checkpoints.is_due()

    def keep(self, trainer: Trainer) -> None:
        self.checkpoints.keep(self.run, trainer, self.log)


def _fetch(workspace: Workspace) -> tuple[dict[str, _Part], dict[str, StoredPart]]:
    """The parts of the newest checkpoint that is what was stored; nothing where there is none."""
    for reference in workspace.checkpoints:
        try:
            loaded = _download(workspace, reference)
        except (DamagedState, NotFound) as fault:
            workspace.reporter.warn(
                f"the checkpoint of step {reference.step} is damaged and is left out: {fault}",
                number=reference.number,
            )
            workspace.reporter.send(CheckpointRefused(number=reference.number))
            continue
        return loaded, dict(reference.parts)
    return {}, {}


def _download(workspace: Workspace, reference: CheckpointReference) -> dict[str, _Part]:
    loaded = {}
    for name, part in reference.parts.items():
        path = workspace.directory / "checkpoints" / f"{reference.number}.{name}"
        workspace.store.download(part.object_key, path)
        loaded[name] = read_state(path, part.sha256)
    return loaded


def _with_rows(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], rows: list[Row]) -> _Part:
    log, columns = stored_rows(rows)
    named = {f"{_LOG}{name}": tensor for name, tensor in log.items()}
    return {**tensors, **named}, {**facts, "columns": columns}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
