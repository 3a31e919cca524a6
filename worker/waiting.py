"""A trainer before it has an attempt: all that is slow to load is loaded, and it waits.

Started with `--waiting` in place of what says which attempt it is, it reads that from its standard
input: one line of JSON, `{"arguments": [...], "log": PATH}`. From there on it is the trainer that
those arguments would have started, and prints to that file. It opens nothing of any job before,
and leaves the GPU alone.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from worker.parent_death import die_with_parent

WAITING = "--waiting"
_READ_BYTES = 65536


def order(arguments: Sequence[str], log: Path) -> bytes:
    """What a supervisor writes to a waiting trainer."""
    return json.dumps({"arguments": list(arguments), "log": str(log)}).encode() + b"\n"


def handed_over(arguments: Sequence[str], load: Callable[[], None]) -> list[str]:
    """The arguments of an attempt: these or, of a process that was started to wait, those that it
    is given after `load`. Exits where its supervisor gives it none."""
    if WAITING not in arguments:
        return list(arguments)
    options = _parse(arguments)
    die_with_parent(options.parent)
    load()
    gc.collect()
    gc.freeze()  # what is loaded stays: the collector need not look through it time and again
    line = _read_line(sys.stdin.fileno())
    if not line:
        sys.exit(0)
    found = json.loads(line)
    _print_to(found["log"])
    ours = ("--reports-fd", str(options.reports_fd), "--parent", str(options.parent))
    return [*found["arguments"], *ours]


def _read_line(descriptor: int) -> bytes:
    """Up to the end of the line; nothing when the other end is closed before."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(descriptor, _READ_BYTES)
        if not data:
            return b""
        line += data
    return line


def _print_to(log: str) -> None:
    """What is printed from here on, by libraries and children too, goes to the attempt's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    for path, flags, targets in (
        (log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, (1, 2)),
        (os.devnull, os.O_RDONLY, (0,)),
    ):
        descriptor = os.open(path, flags, 0o666)
        for target in targets:
            os.dup2(descriptor, target)
        os.close(descriptor)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument(WAITING, action="store_true")
    parser.add_argument("--reports-fd", required=True, type=int)
    parser.add_argument("--parent", required=True, type=int)
    return parser.parse_args(arguments)
