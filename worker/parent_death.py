"""A child that never outlives its parent, however the parent died.

A trainer without a supervisor would train on while another worker starts the same job again.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 1.0


def die_with_parent(expected_parent: int) -> None:
    """Has the kernel kill this process when `expected_parent` dies; exits if it is dead already.

    Call first thing, with the pid the parent passed: between a parent's death and this call
    nobody else would notice. The kernel's parent is the *thread* that spawned us, so spawn from
    one that lives as long as its process.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    else:
        threading.Thread(target=_watch, args=(expected_parent,), daemon=True).start()
    if os.getppid() != expected_parent:
        os._exit(1)


def _watch(expected_parent: int) -> None:
    while os.getppid() == expected_parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)
