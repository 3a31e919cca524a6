"""What a trainer has reported and the database does not know yet."""

from __future__ import annotations

from collections.abc import Sequence

from core.jobs.messages import (
    Artifact,
    Event,
    Failed,
    Finished,
    Message,
    Progress,
    Speed,
    SplitResult,
    Stopped,
    StoredModel,
)

FULL = 10_000  # messages; a fuller inbox stops reading, and the pipe stops the trainer
BATCH = 2_000  # messages relayed in one transaction


class Inbox:
    """Sorts messages into what is relayed as it comes and what waits for the end."""

    def __init__(self) -> None:
        self.last_word: Finished | Stopped | Failed | None = None
        self.speed: Speed | None = None  # the newest
        self._progress: Progress | None = None  # the newest, until it is relayed
        self._seen: Progress | None = None
        self._unrelayed: list[Message] = []
        self._results: list[Message] = []

    @property
    def room(self) -> int:
        """How many more messages may be read now."""
        return max(0, FULL - len(self._unrelayed))

    def add(self, messages: Sequence[Message]) -> bool:
        """Takes messages in; whether they show that the trainer got on."""
        moved = False
        for message in messages:
            moved |= self._add(message)
        return moved

    def batch(self) -> list[Message]:
        """The next messages to relay. They stay until `relayed`."""
        progress: list[Message] = [self._progress] if self._progress is not None else []
        return progress + self._unrelayed[:BATCH]

    def relayed(self) -> None:
        """The last batch is written."""
        self._progress = None
        del self._unrelayed[:BATCH]

    def everything(self) -> list[Message]:
        """What is not relayed yet, and the results."""
        progress: list[Message] = [self._progress] if self._progress is not None else []
        return progress + self._unrelayed + self._results

    def clear(self) -> None:
        """Forgets what could not be written."""
        self._progress = None
        self._unrelayed.clear()
        self._results.clear()

    def _add(self, message: Message) -> bool:
        if isinstance(message, Progress):
            moved = self._seen is None or _place(message) != _place(self._seen)
            self._progress = self._seen = message
            return moved
        if isinstance(message, Speed):
            self.speed = message
            return False
        if isinstance(message, Finished | Stopped | Failed):
            self.last_word = message
            return True
        if isinstance(message, StoredModel | SplitResult | Artifact):
            self._results.append(message)
            return True
        self._unrelayed.append(message)
        return not isinstance(message, Event)


def _place(progress: Progress) -> tuple[str, int, float]:
    """Where the trainer is; its estimate of the rest changes without it moving."""
    return progress.phase, progress.step, progress.fraction
