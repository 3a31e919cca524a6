"""Tensors and facts as one file that is there whole or not at all.

The file is safetensors; the facts are JSON in its header. It is written from the tensors'
own memory, piece by piece, so that neither a second copy of a large state nor the whole file is
ever held. What reads it checks its digest before it looks inside.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

PIECE_BYTES = 1 << 20
_FACTS = "facts"
_NAMES = {  # of safetensors' format
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class DamagedState(ValueError):
    """The file is not what was written, or never was a state."""


def encoded(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Iterator[bytes]:
    """The file's bytes in pieces of at most `PIECE_BYTES`, after its header.

    Tensors lie on the CPU and must not change until the last piece was taken. `facts` are JSON.
    """
    # The largest elements first, as safetensors has it: then every tensor is aligned.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": {_FACTS: json.dumps(facts)}}
    offset = 0
    for name in order:
        tensor = tensors[name]
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text)) + text
    for name in order:
        flat = tensors[name].detach().contiguous().reshape(-1)
        content = flat.view(torch.uint8).numpy().data if len(flat) else memoryview(b"")
        for start in range(0, len(content), PIECE_BYTES):
            yield bytes(content[start : start + PIECE_BYTES])


def write_state(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """Write the file; its SHA-256. A crash at any moment leaves the old file or the new one."""
    digest = hashlib.sha256()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as out:
            for piece in encoded(tensors, facts):
                digest.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _sync_directory(path.parent)
    return digest.hexdigest()


def read_state(path: Path, sha256: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, mapped from the file, and the facts.

    Raises `DamagedState` when the file is missing or is not the one of that digest.
    """
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError as fault:
        raise DamagedState(f"{path.name} is missing") from fault
    if found != sha256:
        raise DamagedState(f"{path.name} has the SHA-256 {found[:12]}..., not {sha256[:12]}...")
    with safe_open(path, framework="pt") as file:
        facts = (file.metadata() or {}).get(_FACTS)
        if facts is None:
            raise DamagedState(f"{path.name} is a safetensors file without facts of ours")
        names = file.keys()
        return {name: file.get_tensor(name) for name in names}, json.loads(facts)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
