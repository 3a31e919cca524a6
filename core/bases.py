"""Registering a model directory as a base that jobs may name."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest
from core.ids import BASE_NAME, base_model_id
from core.learning.architecture import read_architecture
from core.learning.packing import pack
from core.objects import ObjectStore
from core.records import models
from core.records.engine import Database
from core.records.tables import Model

CONFIG_FILE = "open_clip_config.json"


def register_directory(database: Database, store: ObjectStore, name: str, directory: Path) -> Model:
    """Pack the directory's files, store them once by content and register `base:NAME`.

    Registering the same weights again changes nothing; other weights under a known name are
    refused (`Conflict`). Raises `InvalidRequest` for a name that cannot be part of a model id.
    """
    if not BASE_NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot name a base: use up to 40 lower-case letters, digits, '.', '_', '-'",
            code="invalid_base_name",
            param="name",
        )
    with tempfile.TemporaryDirectory(prefix="lipsum-base-") as temporary:
        tar = Path(temporary) / "base.tar"
        copy = Path(temporary) / "base"  # packing writes checksums; the source stays as it is
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("__pycache__"))
        members = pack(copy, tar)
        with tar.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        key = f"bases/{digest}.tar"
        size = tar.stat().st_size
        if not store.exists(key):
            store.put_file(key, tar)
    with database.write() as session:
        return models.register_base(
            session,
            name,
            object_key=key,
            sha256=digest,
            size=size,
            members={file: list(place) for file, place in members.items()},
            info=_info(directory, name),
        )


def _info(directory: Path, name: str) -> dict[str, Any]:
    config = json.loads((directory / CONFIG_FILE).read_text(encoding="utf-8"))
    size = config.get("preprocess_cfg", {}).get("size") or config["model_cfg"]["vision_cfg"].get(
        "image_size", 224
    )
    return {
        "base": base_model_id(name),
        "image_size": size if isinstance(size, int) else size[0],
        "embed_dim": config["model_cfg"]["embed_dim"],
        **read_architecture(config["model_cfg"]).as_info(),
    }
