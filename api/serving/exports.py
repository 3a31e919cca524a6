"""Models in other libraries' formats, made when they are asked for and kept on this machine's disk.

Each is made in a process of its own: converting takes a multiple of the model's memory, and the
images that are being answered here should not feel it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from core.disk_cache import trim
from core.errors import InvalidRequest, NotFound, Unavailable
from core.learning.formats.names import CANNOT_EXPORT, REVISION, Format
from core.learning.mixtures import load_mixture
from core.learning.packing import pack
from core.model_cache import digest_of, fetch_model
from core.objects import ObjectStore
from core.prediction import Exported, StoredWeights
from core.settings import Settings

_NAME = re.compile(r"[0-9a-f]{64}-[a-z]+-[0-9]+")
_TAR = "export.tar"


class Conversions:
    """The processes that convert, which end with the one that started them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, command: list[str]) -> tuple[int, str]:
        """The process's exit status and what it said. Blocking; negative once `stop` was called."""
        with self._lock:
            if self._stopped:
                return -signal.SIGKILL, ""
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            self.running.add(process)
        try:
            _, said = process.communicate()
        finally:
            with self._lock:
                self.running.discard(process)
        return process.returncode, said

    def stop(self) -> None:
        """Ends what is running, and lets nothing begin."""
        with self._lock:
            self._stopped = True
            for process in self.running:
                process.kill()


def make_export(
    settings: Settings,
    store: ObjectStore,
    conversions: Conversions,
    stored: StoredWeights,
    wanted: Format,
    gives_way: bool = False,
) -> Exported:
    """The model's tar in that format, made now if need be; with a low priority where it
    `gives_way`. Blocking.

    Raises InvalidRequest for a model that the format cannot hold, StorageFault, and Unavailable
    where the conversion failed otherwise.
    """
    name = f"{stored.sha256}-{wanted}-{REVISION}"
    kept = _directory(settings) / name
    if not kept.is_dir():
        source = fetch_model(store, settings.cache_directory, stored.object_key, stored.sha256)
        _refuse_mixture(source, stored, wanted)
        work = kept.with_name(f".{name}.{secrets.token_hex(8)}")
        try:
            nice = ["nice"] if gives_way else []
            _convert(conversions, nice, source, work / "files", stored, wanted)
            _pack(work / "files", work / name)
            _move_into_place(work / name, kept)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        trim(settings.cache_directory, settings.cache_bytes)
    os.utime(kept)
    found = json.loads((kept / "export.json").read_text(encoding="utf-8"))
    return Exported(name=name, sha256=found["sha256"], size=found["size"])


def export_path(settings: Settings, name: str) -> Path:
    """Where the tar of an export lies. Raises NotFound for one that is not there (any more)."""
    path = _directory(settings) / name / _TAR
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"There is no export {name!r}.")
    return path


def _directory(settings: Settings) -> Path:
    return settings.cache_directory / "exports"


def _refuse_mixture(source: Path, stored: StoredWeights, wanted: Format) -> None:
    mixture = load_mixture(source)
    if mixture is not None:
        raise InvalidRequest(
            f"{stored.model_id} is a mixture of {len(mixture.members)} models, which {wanted} has "
            "no form for; export its members, or download it as open_clip.",
            code="format_cannot_hold_it",
            param="format",
        )


def _convert(
    conversions: Conversions,
    prefix: list[str],
    source: Path,
    target: Path,
    stored: StoredWeights,
    wanted: Format,
) -> None:
    command = [
        *prefix,
        sys.executable,
        "-m",
        "core.learning.formats",
        wanted,
        str(source),
        str(target),
    ]
    status, errors = conversions.run(command)
    said = errors.strip().splitlines()[-1:] or ["nothing"]
    if status == CANNOT_EXPORT:
        raise InvalidRequest(
            f"{stored.model_id} cannot be exported as {wanted}: {said[0]}.",
            code="format_cannot_hold_it",
            param="format",
        )
    if status != 0:
        raise Unavailable(
            f"Exporting {stored.model_id} as {wanted} failed ({said[0]}).", code="export_failed"
        )


def _pack(files: Path, target: Path) -> None:
    target.mkdir()
    tar = target / _TAR
    pack(files, tar)
    facts = {"sha256": digest_of(tar), "size": tar.stat().st_size}
    (target / "export.json").write_text(json.dumps(facts), encoding="utf-8")


def _move_into_place(made: Path, kept: Path) -> None:
    """Rename, unless another process was faster with the same."""
    try:
        made.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise
