"""How a trainer's process is started: a group of its own, with a pipe to report on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class Spawned:
    """A trainer, and the end of its pipe that reports are read from without waiting."""

    process: subprocess.Popen[bytes]
    reports: int


def spawn(
    command: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    output: IO[bytes] | None = None,
) -> Spawned:
    """Without an `output` it prints where this process does. Raises OSError.

    Call it in a thread that lives as long as the process: the kernel kills the trainer when the
    thread that started it ends.
    """
    reports, theirs = os.pipe()
    os.set_blocking(reports, False)
    try:
        process = subprocess.Popen(
            [
                *command,
                *arguments,
                *("--reports-fd", str(theirs)),
                *("--parent", str(os.getpid())),
            ],
            stdin=stdin,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,  # a group of its own, with whatever it starts
            pass_fds=(theirs,),
            env=dict(environment),
        )
    except OSError:
        os.close(reports)
        raise
    finally:
        os.close(theirs)
    return Spawned(process, reports)
