"""A clock that somebody has put wrong: Python's time of day, moved by what a file says.

Python imports this by itself where its folder is on PYTHONPATH. Clocks that only go forward
(`time.monotonic`) are left alone, as they are on a machine whose time of day is changed.
"""

import mmap
import os
import struct
import time


def _skew(path: str) -> None:
    with open(path, "rb") as file:
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real, real_ns = time.time, time.time_ns

    def moved() -> float:
        return real() + float(struct.unpack("d", offset)[0])

    def moved_ns() -> int:
        return real_ns() + int(struct.unpack("d", offset)[0] * 1e9)

    time.time, time.time_ns = moved, moved_ns


if "CHAOS_CLOCK" in os.environ:
    _skew(os.environ["CHAOS_CLOCK"])
