"""The job's state machine: every status and every legal change of it, in one table.

    validating_files -> queued -> running -> succeeded | failed | cancelled
                          ^---- paused <-'

`cancelling` is the wait for a worker that holds the job to let go of it, or for one to make a
model of its last checkpoint (`stop_for` "keep"). A job that nobody holds goes straight to
`cancelled`. `running -> queued` is a recovery or a worker's graceful stop, `failed -> queued` a
retry. A pause has no status of its own while its worker saves: the job is `running`, with
`stop_for` "pause", until it is `paused`, or has succeeded after all.
"""

from __future__ import annotations

from core.errors import Conflict

STATUSES = (
    "validating_files",
    "queued",
    "running",
    "paused",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
)
ENDED = frozenset({"succeeded", "failed", "cancelled"})
WAITING = ("validating_files", "queued")  # what a worker may claim

_LEGAL: dict[str, frozenset[str]] = {
    "validating_files": frozenset({"queued", "paused", "failed", "cancelling", "cancelled"}),
    "queued": frozenset(
        {"validating_files", "running", "paused", "failed", "cancelling", "cancelled"}
    ),
    "running": frozenset({"queued", "paused", "succeeded", "failed", "cancelling", "cancelled"}),
    "paused": frozenset({"queued", "cancelling", "cancelled"}),
    "cancelling": frozenset({"cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset({"queued"}),
    "cancelled": frozenset(),
}


def is_legal(current: str, to: str) -> bool:
    """Whether a job in status `current` may become `to`."""
    return to in _LEGAL[current]


def check(job_id: str, current: str, to: str) -> None:
    """Raises Conflict naming both statuses when the change is not legal."""
    if is_legal(current, to):
        return
    if current in ENDED:
        raise Conflict(
            f"Job {job_id} is already {current} and cannot become {to}; nothing was changed.",
            code="job_already_ended",
        )
    legal = ", ".join(sorted(_LEGAL[current]))
    raise Conflict(f"Job {job_id} is {current} and cannot become {to}; it can become {legal}.")
