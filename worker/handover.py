"""What a supervisor hands to its trainer beside the specification: where to go on from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from core.jobs.checkpoint import CheckpointReference

_FILE = "checkpoints.json"
_ADAPTER: TypeAdapter[list[CheckpointReference]] = TypeAdapter(list[CheckpointReference])


def write_checkpoints(directory: Path, checkpoints: Sequence[CheckpointReference]) -> None:
    """Leave them in the attempt's directory."""
    (directory / _FILE).write_bytes(_ADAPTER.dump_json(list(checkpoints)))


def read_checkpoints(directory: Path) -> list[CheckpointReference]:
    """What was left there, the newest first; nothing where nothing was."""
    path = directory / _FILE
    return _ADAPTER.validate_json(path.read_bytes()) if path.is_file() else []
