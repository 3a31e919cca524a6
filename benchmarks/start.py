"""The API's start: from the process's to its first answer, which a key opens and rows are read for.

The first start compiles every module, as one after an installation may; those after it are what is
counted. What the process has mapped then says whether torch was imported: nothing can be used of it
without its library.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.client import await_answer
from benchmarks.memory import mapped_libraries, resident
from benchmarks.service import JOBS
from core.settings import Settings
from tests.api_process import launch
from tests.api_service import prepare
from tests.services import free_port


def measure(repeats: int) -> dict[str, Any]:
    """Seconds of the first start and of the others; what an API process is after one."""
    with tempfile.TemporaryDirectory(prefix="lipsum-start-") as made:
        settings = Settings(data_dir=Path(made) / "data", port=free_port(), serving_port=9)
        database, _, _, key = prepare(settings)
        database.close()
        # Modules are compiled into here, whatever the machine has or keeps of them.
        variables = {"PYTHONPYCACHEPREFIX": f"{made}/compiled", "PYTHONDONTWRITEBYTECODE": ""}
        first = _start(settings, key, variables)
        others = [_start(settings, key, variables) for _ in range(repeats)]
    last = others[-1]
    return {
        "repeats": repeats,
        "seconds_first": first["seconds"],
        "seconds": round(statistics.median(start["seconds"] for start in others), 3),
        "seconds_most": max(start["seconds"] for start in others),
        "resident_bytes": last["resident_bytes"],
        "libraries": len(last["libraries"]),
        "torch_libraries": sum("torch" in library for library in last["libraries"]),
    }


def _start(settings: Settings, key: str, variables: dict[str, str]) -> dict[str, Any]:
    started = time.perf_counter()
    process = launch(settings, **variables)
    try:
        await_answer(process, settings.port, JOBS, key)
        seconds = round(time.perf_counter() - started, 3)
        libraries = mapped_libraries(process.pid)
        # Whoever looks for libraries in vain must know that they would be seen.
        assert any("pydantic_core" in library for library in libraries)
        return {
            "seconds": seconds,
            "resident_bytes": resident(process.pid),
            "libraries": libraries,
        }
    finally:
        process.terminate()
        process.wait(20)
