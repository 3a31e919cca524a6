"""Threads of the inference process, and how many cores each computes on.

GNU's OpenMP lets threads that wait for the next operation spin only while there are no more of
them than cores, and each thread that computes on several cores keeps a set of its own. With a
second set there, a forward pass of a ViT-B/32 took 1.6 times as long. So one thread keeps a set,
that of the towers; others have a core each, or end when they have computed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import torch

from api.serving.large_images import LARGE_NICE

CORES = torch.get_num_threads()  # as the environment has it

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


async def run_in(
    pool: ThreadPoolExecutor,
    function: Callable[_Given, _Found],
    *args: _Given.args,
    **kwargs: _Given.kwargs,
) -> _Found:
    """What the function returns in a thread of the pool."""
    return await asyncio.wrap_future(pool.submit(function, *args, **kwargs))


def with_all_cores(
    function: Callable[_Given, _Found], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Found:
    """What it returns in a thread that ends, and its set of OpenMP's threads with it."""
    with ThreadPoolExecutor(1, "passing", compute_on, (CORES,)) as thread:
        return thread.submit(function, *args, **kwargs).result()


def give_way() -> None:
    """The calling thread gets what others leave of the cores; Linux has priorities of threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LARGE_NICE)
    compute_on(1)


def compute_on(cores: int) -> None:
    """How many the calling thread uses from now on."""
    torch.get_num_threads()  # a thread that never asked takes what another set last, after this too
    torch.set_num_threads(cores)
