"""What an upload costs: time against `cp` and `sha256sum` of the same bytes, and memory.

For each size an archive of incompressible images is made; then, in turns and on the same disk,
`cp` and `sha256sum` take it, `lipsum push` sends it in parts, and one streamed request sends
it whole, each to an API process of its own. Memory is the peak of the resident set (VmHWM) over
what the process had before: the API's when it was ready, the command's when it had its client.
Three times the largest size is taken on the disk of the temporary directory.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks.memory import peak, resident
from core.datasets.layouts.zip_stream import zip_stream
from tests.api_process import ApiProcess, api_process

MIB = 1 << 20
IMAGE_BYTES = MIB
_PUSH = """
import json, sys, time
from pathlib import Path
from benchmarks.memory import peak, resident
from cli.client import make_client
from cli.push import FileSource, send
client = make_client()
client.files.list(limit=1)  # what any use of the client loads
before, started = resident(), time.perf_counter()
send(client, FileSource(Path(sys.argv[1])), lambda done: None)
print(json.dumps([time.perf_counter() - started, peak() - before]))
"""


def measure(repeats: Mapping[int, int]) -> dict[str, Any]:
    """A row for an archive of each size in MiB, taken so many times: the shortest times and the
    most memory."""
    with tempfile.TemporaryDirectory(prefix="lipsum-uploads-") as made:
        rows = [_measure(mib * MIB, times, Path(made)) for mib, times in repeats.items()]
    return {"rows": rows}


def _measure(size: int, repeats: int, directory: Path) -> dict[str, Any]:
    archive = _make_archive(directory / "archive.zip", size)
    measured: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        measured.setdefault(name, []).append(value)

    for _ in range(repeats):
        note("copy_seconds", _copy(archive))
        for name, send in (("push", _push), ("post", _post)):
            with api_process(directory / name) as api:
                pid = api.process.pid
                _list_files(api)
                before = resident(pid)
                seconds, client_bytes = send(api, archive)
                note(f"{name}_seconds", seconds)
                note(f"{name}_api_bytes", peak(pid) - before)
                note(f"{name}_client_bytes", client_bytes)
            shutil.rmtree(directory / name)
    row: dict[str, Any] = {"bytes": archive.stat().st_size, "repeats": repeats}
    for name, values in measured.items():
        row[name] = max(values) if name.endswith("bytes") else round(min(values), 2)
    archive.unlink()
    return row


def _make_archive(path: Path, size: int) -> Path:
    with (
        path.open("w+b") as file,
        zip_stream(file) as out,
        Path("/dev/urandom").open("rb") as noise,
    ):
        for number in range(size // IMAGE_BYTES):
            name = f"{'cat' if number % 2 else 'dog'}/{number:06}.jpg"
            out.add(name, io.BytesIO(noise.read(IMAGE_BYTES)))
    return path


def _copy(archive: Path) -> float:
    """Seconds of `cp` and `sha256sum`, the one after the other."""
    copied = archive.with_suffix(".copy")
    started = time.perf_counter()
    subprocess.run(["cp", archive, copied], check=True)
    subprocess.run(["sha256sum", archive], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    copied.unlink()
    return seconds


def _push(api: ApiProcess, archive: Path) -> tuple[float, int]:
    """Sends the archive as `lipsum push` does, from a process of its own: seconds and bytes of
    memory."""
    done = subprocess.run(
        [sys.executable, "-c", _PUSH, str(archive)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        env={"LIPSUM_BASE_URL": f"{api.address}/v1", "LIPSUM_API_KEY": api.key, "PATH": ""},
    )
    seconds, taken = json.loads(done.stdout)
    return seconds, taken


def _post(api: ApiProcess, archive: Path) -> tuple[float, int]:
    """Sends the archive in one request; whatever client does that, its memory is not ours."""
    head = (
        b'--line\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--line\r\n'
        b'Content-Disposition: form-data; name="file"; filename="archive.zip"\r\n\r\n'
    )
    tail = b"\r\n--line--\r\n"

    def body() -> Iterator[bytes]:
        yield head
        with archive.open("rb", buffering=0) as file:
            while chunk := file.read(MIB):
                yield chunk
        yield tail

    length = len(head) + archive.stat().st_size + len(tail)
    headers = {
        "content-type": "multipart/form-data; boundary=line",
        "content-length": str(length),
        "authorization": f"Bearer {api.key}",
    }
    started = time.perf_counter()
    answer = httpx.post(f"{api.address}/v1/files", content=body(), headers=headers, timeout=600.0)
    answer.raise_for_status()
    return time.perf_counter() - started, 0


def _list_files(api: ApiProcess) -> None:
    with api.http() as http:
        http.get("/v1/files").raise_for_status()
