"""The OpenAPI document as one HTML page: no script, nothing from elsewhere.

Made on the server, so that it reads the same in any browser and in none, and the strictest
content security policy holds (docs/decisions/reference-without-scripts.md).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from api.reference.document import Document, operations
from api.reference.faults import faults
from api.reference.schemas import fields_of, type_of

FILES = Path(__file__).parent

_CODE = re.compile(r"`([^`]+)`")

_SDK_EXCEPTIONS = {
    "400": "BadRequestError",
    "401": "AuthenticationError",
    "403": "PermissionDeniedError",
    "404": "NotFoundError",
    "409": "ConflictError",
    "413": "APIStatusError",
    "416": "APIStatusError",
    "429": "RateLimitError",
    "503": "InternalServerError",
    "507": "InternalServerError",
}


def reference_page(document: Document) -> str:
    """The page of a document."""
    environment = Environment(
        loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "fields": fields_of, "type": type_of, "json": _indented, "prose": _with_code,
    }  # fmt: skip
    return environment.get_template("page.html.j2").render(
        info=document["info"],
        groups=_by_tag(document),
        schemas=document["components"]["schemas"],
        exceptions=_SDK_EXCEPTIONS,
        faults=faults(),
    )


def _by_tag(document: Document) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in operations(document):
        tag = (operation.get("tags") or ["service"])[0]
        groups.setdefault(tag, []).append(operation)
    return groups


def _with_code(text: str) -> Markup:
    """Docstrings' `names` as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def _indented(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
