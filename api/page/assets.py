"""The page's files, held in memory: read, hashed and compressed once.

Their address holds a digest of them all, so that a browser keeps them for good and a module's
relative imports lead to modules of the same release.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi.responses import Response

STATIC = Path(__file__).parent / "static"

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?from\s+["'](\.[^"']+)["']""", re.MULTILINE)
_WORTH_PACKING = 512  # bytes
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    media_type: str
    content: bytes
    packed: bytes | None  # with gzip, where that is worth it

    def response(self, accepted: str, cache_control: str) -> Response:
        """For a client that takes these encodings (the Accept-Encoding header)."""
        headers = {"cache-control": cache_control, "vary": "accept-encoding"}
        content = self.content
        if self.packed is not None and "gzip" in accepted:
            headers["content-encoding"] = "gzip"
            content = self.packed
        return Response(content, media_type=self.media_type, headers=headers)


@dataclass(frozen=True)
class Assets:
    """All of them, by their path under static/."""

    version: str
    files: dict[str, Asset]

    def imported(self, module: str) -> list[str]:
        """The module and all that it imports, and they do: what a browser would otherwise find out
        one after the other."""
        found = [module]
        for path in found:  # which grows
            source = self.files[path].content.decode()
            for target in _IMPORT.findall(source):
                name = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
                if name not in found:
                    found.append(name)
        return found

    def response(self, version: str, path: str, accepted: str) -> Response | None:
        """The file of that path; a page of an older release gets today's, and keeps it for no
        time. None where there is no such file."""
        found = self.files.get(path)
        if found is None:
            return None
        return found.response(accepted, _FOR_GOOD if version == self.version else "no-cache")


def asset(media_type: str, content: bytes) -> Asset:
    """Of its bytes."""
    packed = gzip.compress(content, mtime=0) if len(content) >= _WORTH_PACKING else None
    return Asset(media_type, content, packed)


@cache
def load_assets() -> Assets:
    """What lies under static/."""
    digest = hashlib.sha256()
    files = {}
    for path in sorted(STATIC.rglob("*")):
        if path.suffix in _TYPES:
            name = path.relative_to(STATIC).as_posix()
            content = path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
            files[name] = asset(_TYPES[path.suffix], content)
    return Assets(digest.hexdigest()[:12], files)
