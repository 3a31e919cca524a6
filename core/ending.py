"""How a child process that loads native libraries ends: with the code it means."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """End now, with `code`, once what was printed is written.

    Threads that native libraries own (pyarrow's, torch's, an object store's) may be waiting for
    Python, or be destroyed while they run, when the interpreter takes itself apart: a trainer
    was seen to end with SIGABRT ("terminate called without an active exception") after its last
    word. Nothing is left to take apart here: files are closed by those who wrote
    them, so `atexit` has nothing to do.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
