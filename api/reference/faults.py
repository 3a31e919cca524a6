"""Every fault a client can meet: its status, its code and how its sentences go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "faults.json"


@dataclass(frozen=True)
class Fault:
    """One code. `…` in a message stands for a value seen."""

    status: int
    code: str
    messages: tuple[str, ...]


@cache
def faults() -> tuple[Fault, ...]:
    """By status and code. `python -m docs.render` writes the file from the source."""
    listed = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(Fault(one["status"], one["code"], tuple(one["messages"])) for one in listed)
