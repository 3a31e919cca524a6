"""Other servers of the same model, each with the settings it is asked to have.

Their libraries are installed into a directory of their own the first time, and stand before ours on
the path of their processes only.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.memory import descendants
from benchmarks.serving.load import request
from tests.services import free_port

ROOT = Path(__file__).parents[2]
LIBRARIES = ROOT / ".bench" / "peers"
STARTUP_SECONDS = 120.0
PEERS = ("litserve", "bentoml")
_BOUNDARY = "bench-inference"


def install(wanted: Collection[str]) -> dict[str, str]:
    """The versions of these peers, installed if none is."""
    if not LIBRARIES.is_dir():
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        part = LIBRARIES.with_name("peers.part")
        shutil.rmtree(part, ignore_errors=True)
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", part]
        subprocess.run([*command, *PEERS], check=True)
        part.rename(LIBRARIES)
    return {name: _version(name) for name in wanted}


@contextmanager
def litserve(directory: Path, **options: Any) -> Iterator[int]:
    """LitServe over a model directory; its port."""
    port = free_port()
    asked = {"directory": str(directory), "port": port, **options}
    program = str(Path(__file__).with_name("litserve_app.py"))
    with _running([sys.executable, program, json.dumps(asked)], port, "/health", {}):
        yield port


@contextmanager
def bentoml(directory: Path, **options: Any) -> Iterator[int]:
    """BentoML over a model directory; its port."""
    port = free_port()
    asked = json.dumps({"directory": str(directory), **options})
    command = [
        *(sys.executable, "-m", "bentoml", "serve", "benchmarks.serving.bentoml_app:Classifier"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with _running(command, port, "/readyz", {"BENCH_ASKED": asked}):
        yield port


def for_litserve(jpeg: bytes) -> bytes:
    """A request with an image in base64, as LitServe's own examples send them."""
    body = json.dumps({"image": base64.b64encode(jpeg).decode()}).encode()
    return request("/predict", body, kind="application/json")


def for_bentoml(jpeg: bytes) -> bytes:
    """A request with an image in a form, as BentoML's own client sends them."""
    head = (
        f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="images"; filename="a.jpg"\r\n'
        "content-type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + jpeg + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return request("/classify", body, kind=f"multipart/form-data; boundary={_BOUNDARY}")


@contextmanager
def _running(
    command: list[str], port: int, path: str, variables: Mapping[str, str]
) -> Iterator[None]:
    paths = os.pathsep.join([str(LIBRARIES), str(ROOT)])
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **variables, "PYTHONPATH": paths, "BENTOML_DO_NOT_TRACK": "True"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await_ready(process, f"http://127.0.0.1:{port}{path}")
        yield
    finally:
        for pid in (*descendants(process.pid), process.pid):  # they may have sessions of their own
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _await_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server of {url} ended at start: {process.returncode}")
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} was not ready within {STARTUP_SECONDS} s")


def _version(name: str) -> str:
    (found,) = LIBRARIES.glob(f"{name}-*.dist-info")
    return found.name.removesuffix(".dist-info").split("-", 1)[1]
