"""How many cores threads compute on, and who gives way to whom."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from api.serving.threads import CORES, LARGE_NICE, compute_on, give_way, with_all_cores


def test_what_one_thread_is_told_holds_for_it_alone() -> None:
    with (
        ThreadPoolExecutor(1, "one", compute_on, (1,)) as one,
        ThreadPoolExecutor(1, "two", compute_on, (2,)) as two,
    ):
        for _ in range(2):
            assert one.submit(torch.get_num_threads).result() == 1
            assert two.submit(torch.get_num_threads).result() == 2
        two.submit(compute_on, 3).result()
        assert one.submit(torch.get_num_threads).result() == 1


def test_all_cores_are_computed_on_in_a_thread_that_has_ended_then() -> None:
    cores, thread = with_all_cores(lambda: (torch.get_num_threads(), threading.current_thread()))
    assert cores == CORES
    assert not thread.is_alive()
    with pytest.raises(ZeroDivisionError):
        with_all_cores(lambda: 1 // 0)


@pytest.mark.skipif(sys.platform != "linux", reason="no priorities of threads")
def test_who_gives_way_does_so_alone() -> None:
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = nice()
    with ThreadPoolExecutor(1, "large", give_way) as pool:
        assert pool.submit(nice).result() == LARGE_NICE
    assert nice() == before
