"""Archives looked into by a process of their own, where their size, format or images ask for it.

An archive may hold two million entries, which take 0.8 GB, and Parquet and Zstandard are read by
libraries in C++ that hostile bytes may bring down. Neither is the business of a process that serves
others: the child has a bound on its memory, and when it dies only its answer is missing. Starting
one takes a quarter of a second of a processor, so small archives are read where they arrive.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import errors
from core.datasets.archive import may_expand, open_archive
from core.datasets.layout import Layout
from core.datasets.limits import Limits
from core.datasets.structure import Structure, inspect
from core.errors import InvalidDataset, InvalidRequest, ServiceError, TooLarge, Unavailable

HERE_BYTES = 64 * 1024  # of an archive that this process inspects: 700 entries, 13 MB unpacked
MEMORY_BYTES = 3 * 1024**3  # of address space, for a child
CPU_SECONDS = 1800  # for a child; two million entries take a minute and a half
_COMMAND = "from core.datasets.apart import main; main()"
_THEIR_FAULT = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


def inspect_apart(path: Path, limits: Limits) -> Structure:
    """As `core.datasets.structure.inspect`; raises Unavailable too, when the child was killed."""
    if path.stat().st_size <= HERE_BYTES and not may_expand(path):
        return inspect(path, limits)
    answer = run_apart("inspect", path=str(path), limits=asdict(limits))
    return Structure.model_validate(answer)


def draw_apart(path: Path, structure: Structure, split: str, limits: Limits, target: Path) -> None:
    """Writes the split's contact sheet, a JPEG, to `target`. Raises as `inspect_apart`."""
    run_apart(
        "draw",
        path=str(path),
        root=structure.root,
        has_splits=structure.has_splits,
        split=split,
        limits=asdict(limits),
        target=str(target),
    )


def draw_named_apart(
    path: Path, captions: dict[str, list[str]], limits: Limits, target: Path
) -> None:
    """Writes these images of the archive, each over its lines, as one JPEG to `target`. Raises as
    `inspect_apart`."""
    run_apart(
        "draw_named", path=str(path), captions=captions, limits=asdict(limits), target=str(target)
    )


def run_apart(task: str, **arguments: Any) -> Any:
    """The answer of one of `_TASKS` in a process of its own, or the fault that it raised."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND],
        input=json.dumps({"task": task, **arguments}).encode(),
        stdout=subprocess.PIPE,
        env=_environment(),
        check=False,
    )
    if done.returncode == 0:
        message = json.loads(done.stdout)
        if "fault" in message:
            raise _fault(**message["fault"])
        return message["answer"]
    if -done.returncode in _THEIR_FAULT:
        raise InvalidDataset(
            f"The archive brought down what reads it ({signal.Signals(-done.returncode).name}): it "
            "is damaged. Make it again and upload it.",
            code="archive_corrupt",
        )
    if -done.returncode == signal.SIGXCPU:
        raise TooLarge(
            f"Looking into the archive takes more than {CPU_SECONDS} seconds of a processor. Split "
            "the data set.",
            code="too_much_time",
        )
    raise Unavailable(
        f"Looking into the archive was interrupted (exit status {done.returncode}); try again.",
        code="inspection_interrupted",
    )


def main() -> None:
    """The child: a task on standard input, its answer or fault on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 10))
    arguments = json.load(sys.stdin)
    try:
        answer = {"answer": _TASKS[arguments.pop("task")](**arguments)}
    except ServiceError as error:
        answer = {"fault": {"kind": type(error).__name__, **vars(error)}}
    except MemoryError:
        answer = {"fault": {"kind": "TooLarge", "message": _NO_MEMORY, "code": "too_much_memory"}}
    json.dump(answer, sys.stdout)


def _inspect(path: str, limits: dict[str, Any]) -> Any:
    return inspect(Path(path), Limits(**limits)).model_dump(mode="json")


def _draw(
    path: str, root: str, has_splits: bool, split: str, limits: dict[str, Any], target: str
) -> None:
    from core.datasets.contact_sheet import contact_sheet  # and with it every image decoder

    bounds = Limits(**limits)
    with open_archive(Path(path), bounds) as archive:
        sheet = contact_sheet(archive, Layout(root, has_splits), split, bounds)
    sheet.save(target, "JPEG", quality=85)


def _draw_named(
    path: str, captions: dict[str, list[str]], limits: dict[str, Any], target: str
) -> None:
    from core.datasets.contact_sheet import named_sheet

    bounds = Limits(**limits)
    with open_archive(Path(path), bounds) as archive:
        sheet = named_sheet(archive, captions, bounds)
    sheet.save(target, "JPEG", quality=85)


def _changes(path: str, asked: dict[str, Any]) -> Any:
    from core.jobs.changes import Asked, find_changes

    return find_changes(Path(path), Asked(**asked))


def _fault(kind: str, message: str, code: str, param: str | None = None) -> ServiceError:
    found = getattr(errors, kind, InvalidRequest)
    assert issubclass(found, ServiceError)
    return found(message, code=code, param=param)


def _environment() -> dict[str, str]:
    """The code this process runs, wherever that was started, and none of its secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIPSUM_")}
    root = str(Path(__file__).resolve().parents[2])
    inherited = kept.get("PYTHONPATH")
    kept["PYTHONPATH"] = f"{root}{os.pathsep}{inherited}" if inherited else root
    # Arrow's own allocators reserve address space by the gigabyte.
    return {**kept, "ARROW_DEFAULT_MEMORY_POOL": "system"}


_NO_MEMORY = (
    f"Looking into the archive takes more than {MEMORY_BYTES} bytes of memory. Split the data set."
)
_TASKS: dict[str, Callable[..., Any]] = {
    "inspect": _inspect,
    "draw": _draw,
    "draw_named": _draw_named,
    "changes": _changes,
}
