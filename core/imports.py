"""Reading what lies in S3 already: the only addresses of a client's choice that are ever read.

The operator lists the prefixes (`import_prefixes`); the server and the credentials are those of the
settings. A prefix ends where a segment ends: `s3://data/flowers` allows nothing of
`s3://data/flowers-of-others`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import Forbidden, InvalidRequest
from core.objects import ObjectStore, check_key
from core.settings import Settings
from core.validation import shown

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Source:
    """Something under an allowed prefix."""

    store: ObjectStore  # of its bucket
    key: str
    is_folder: bool  # the key then is that of no object


def open_source(address: str, settings: Settings) -> Source:
    """The store and key of an address. Raises InvalidRequest and Forbidden; reads nothing."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    is_folder = key.endswith("/")
    key = key.removesuffix("/")
    if not (address.startswith(SCHEME) and _BUCKET.fullmatch(bucket) and key):
        raise InvalidRequest(
            f"source is {shown(address)}; it must be s3://BUCKET/KEY. Other addresses are not "
            "read: upload the file.",
            code="invalid_source",
            param="source",
        )
    try:
        check_key(f"{bucket}/{key}")
    except ValueError as error:
        raise InvalidRequest(
            f"source is {shown(address)}: {error}.", code="invalid_source", param="source"
        ) from error
    if not any(_is_under(f"{bucket}/{key}", prefix) for prefix in settings.allowed_imports):
        raise Forbidden(
            f"source is {shown(address)}, which lies under no prefix that the operator of this "
            "service allows to import from. Upload the file, or ask the operator.",
            code="source_not_allowed",
            param="source",
        )
    return Source(ObjectStore.of_bucket(bucket, settings), key, is_folder)


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
