"""A trainer as its supervisor sees it: a process group, a pipe of reports and a log file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from core.jobs.messages import Message, decode
from core.records.leases import Claim
from worker.handover import write_checkpoints
from worker.spawn import spawn
from worker.waiting_trainers import WaitingTrainer

TRAINER_COMMAND = (sys.executable, "-m", "worker.run")
LOG_NAME = "trainer.log"
_READ_BYTES = 65536
_MAX_LINE = 16 * 1024 * 1024  # bytes; the longest message is a dataset's summary
_TAIL_BYTES = 8192


class ProtocolFault(Exception):
    """The trainer wrote something that is not a message."""


class TrainerProcess:
    """Started by the constructor, as `worker.spawn` says."""

    def __init__(
        self,
        claim: Claim,
        directory: Path,
        environment: Mapping[str, str],
        command: Sequence[str] = TRAINER_COMMAND,
        waiting: WaitingTrainer | None = None,
    ) -> None:
        """The attempt is handed to the trainer that waits, if there is one and it lives. Raises
        OSError."""
        directory.mkdir(parents=True, exist_ok=True)
        specification = directory / "spec.json"
        specification.write_text(claim.spec.model_dump_json(), encoding="utf-8")
        write_checkpoints(directory, claim.checkpoints)
        self.directory = directory
        self._log = directory / LOG_NAME
        self._partial = b""
        self.at_end = False  # of the reports
        self.exit_code: int | None = None  # as subprocess has it; set by `finish`
        arguments = [
            *("--spec", str(specification)),
            *("--work", str(directory)),
            *("--attempt", str(claim.attempt)),
            *("--duty", claim.duty),
        ]
        with self._log.open("ab") as output:  # there before anybody looks for it
            spawned = None if waiting is None else waiting.hand_over(arguments, self._log)
            if spawned is None:
                spawned = spawn(command, arguments, environment, output=output)
        self._process, self.reports = spawned.process, spawned.reports

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """What it prints."""
        return self._log

    def read(self, most: int | None) -> list[Message]:
        """Messages that have arrived, about `most` of them. Raises ProtocolFault."""
        messages: list[Message] = []
        while not self.at_end and (most is None or len(messages) < most):
            try:
                data = os.read(self.reports, _READ_BYTES)
            except BlockingIOError:
                break
            self.at_end = not data
            *lines, self._partial = (self._partial + data).split(b"\n")
            if len(self._partial) > _MAX_LINE:
                raise ProtocolFault(f"a line of more than {_MAX_LINE} bytes")
            messages.extend(_decode(line) for line in lines)
        return messages

    def has_exited(self) -> bool:
        """Whether it ended. It stays a zombie, so that its group's number stays its own."""
        if self.exit_code is not None:
            return True
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def terminate(self) -> None:
        """Asks the whole group to save what it has done and to stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Stops the whole group."""
        self._signal(signal.SIGKILL)

    def finish(self) -> None:
        """Clears away what is left of the group and its zombie. Call once it has exited."""
        self.kill()
        self.exit_code = self._process.wait()

    def close(self) -> None:
        """Kills what runs and frees the pipe."""
        if self.exit_code is None:
            self.finish()
        with suppress(OSError):
            os.close(self.reports)

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines the trainer printed."""
        try:
            with self._log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return text.splitlines()[-lines:]

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _decode(line: bytes) -> Message:
    try:
        return decode(line)
    except ValidationError as error:
        shown = line[:200].decode("utf-8", "replace")
        raise ProtocolFault(f"{shown!r}: {error.errors()[0]['msg']}") from error
