"""`?metadata[team]=birds`: which jobs a list is about, as OpenAI's SDK asks for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import Request

from core.errors import InvalidRequest
from core.jobs.request import MAX_METADATA_PAIRS
from core.validation import shown

_PAIR = re.compile(r"metadata\[(.*)\]", re.DOTALL)
OPENAPI = {
    "parameters": [
        {
            "name": "metadata",
            "in": "query",
            "style": "deepObject",
            "explode": True,
            "description": "Jobs that have all of these pairs; `metadata=null`: jobs without any.",
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        }
    ]
}


@dataclass(frozen=True)
class MetadataFilter:
    """Pairs that a job must have, or that it must have none."""

    pairs: dict[str, str]
    is_null: bool


def metadata_filter(request: Request) -> MetadataFilter:
    """A dependency. Raises InvalidRequest for what looks like a filter and is none: ignoring it
    would answer another question."""
    pairs: dict[str, str] = {}
    is_null = False
    for name, value in request.query_params.multi_items():
        if not name.startswith("metadata"):
            continue
        found = _PAIR.fullmatch(name)
        if name == "metadata" and value == "null":
            is_null = True
        elif found is None:
            raise _wrong(f"{shown(name)} is no filter")
        elif found.group(1) in pairs:
            raise _wrong(f"{name} is given twice, and no job has two values of one key")
        else:
            pairs[found.group(1)] = value
    if len(pairs) > MAX_METADATA_PAIRS:
        raise _wrong(f"{len(pairs)} pairs are given, and a job has at most {MAX_METADATA_PAIRS}")
    if pairs and is_null:
        raise _wrong("pairs and `metadata=null` are given, and no job has both")
    return MetadataFilter(pairs, is_null)


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{why}; write metadata[KEY]=VALUE, or metadata=null for jobs without metadata.",
        code="invalid_filter",
        param="metadata",
    )
