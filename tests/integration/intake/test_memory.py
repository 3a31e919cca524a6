"""What a client may cost the API process in memory: the same, whatever is sent."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.memory import peak, resident
from tests.api_process import ApiProcess, api_process

pytestmark = pytest.mark.slow
MIB = 1 << 20
MOST = 100 * MIB


def large_file(api: ApiProcess) -> None:
    """One request of 600 MiB."""

    def body() -> Iterator[bytes]:
        part = b"--line\r\nContent-Disposition: form-data; name="
        yield part + b'"purpose"\r\n\r\nuser_data\r\n'
        yield part + b'"file"; filename="a"\r\n\r\n'
        for number in range(600):
            yield bytes([number % 256]) * MIB
        yield b"\r\n--line--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=line"}
    with api.http() as http:
        http.post("/v1/files", content=body(), headers=headers).raise_for_status()


def large_parts(api: ApiProcess) -> None:
    """Five parts of the largest size there is, which become one file."""
    content = b"".join(bytes([number]) * (64 * MIB) for number in range(5))
    done = api.openai().uploads.upload_file_chunked(
        file=content,
        filename="a",
        bytes=len(content),
        mime_type="x/y",
        purpose="user_data",
        md5=hashlib.md5(content).hexdigest(),
    )
    assert done.file is not None


def many_entries(api: ApiProcess) -> None:
    """An archive of 300,000 images that are one byte each."""
    body, directory, offset = [], [], 0
    crc = zlib.crc32(b"x")
    for number in range(300_000):
        name = b"train/class%03d/image_%08d.jpg" % (number % 100, number)
        sizes = (crc, 1, 1, len(name), 0)
        body.append(struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, *sizes) + name + b"x")
        directory.append(
            struct.pack(
                "<4s6H3L5H2L", b"PK\x01\x02", 788, 20, 0, 0, 0, 33, *sizes, 0, 0, 0, 0, offset
            )
            + name
        )
        offset += len(body[-1])
    listed = b"".join(directory)
    count, size = len(directory), len(listed)
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    end += struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + size, 1)
    end += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    file = (
        api.openai()
        .with_options(timeout=250)
        .files.create(file=("many.zip", b"".join(body) + listed + end), purpose="fine-tune")
    )
    assert (file.model_extra or {})["dataset"]["images"] == 300_000


@pytest.mark.parametrize("send", [large_file, large_parts, many_entries])
def test_memory_stays_flat(tmp_path: Path, send: Callable[[ApiProcess], None]) -> None:
    with api_process(tmp_path) as api:
        pid = api.process.pid
        with api.http() as http:
            http.get("/v1/files").raise_for_status()
        before = resident(pid)
        send(api)
        assert peak(pid) - before < MOST
        assert httpx.get(f"{api.address}/healthz").status_code == 200
