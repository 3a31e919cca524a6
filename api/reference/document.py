"""The OpenAPI document: FastAPI's, with the scope each route needs and examples."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.auth import BEARER, scopes_of_routes

Document = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")

EXAMPLES = Path(__file__).parent / "examples.json"

_ABOUT = """\
Robust fine-tuning of CLIP-like models as a service. `/v1/files`, `/v1/uploads`,
`/v1/fine_tuning/jobs` and `/v1/models` are what OpenAI's SDKs speak; the task routes below a model
are what `huggingface_hub.InferenceClient` speaks. Fields that those do not know are ours.

No text of a request may hold a NUL character.

Every route below `/v1` wants an API key: `Authorization: Bearer KEY`. Every answer that is not a
success has one shape, `ErrorBody`, whose `code` is for programs and never changes meaning."""


def operation_id(route: APIRoute) -> str:
    """Functions that answer routes have names of their own; so have operations."""
    return route.name


def openapi_document(app: FastAPI) -> Document:
    """The document of that app. Made once an app; do not change it."""
    if app.openapi_schema is None:
        app.description = _ABOUT
        document = app.openapi()
        scopes = scopes_of_routes(app)
        for operation in operations(document):
            _add_examples(operation)
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
            if operation["x-method"] == "GET":
                # As `api.conditional` has it, for whatever is not a download.
                operation["responses"].setdefault("304", {"description": "The client has it"})
            scope = scopes.get((operation["x-method"], operation["x-path"]))
            if scope is not None:
                operation["security"] = [{BEARER: [scope]}]
        app.openapi_schema = document
    return app.openapi_schema


def operations(document: Document) -> list[dict[str, Any]]:
    """Every operation, with its `path` and `method` beside what the document says of it."""
    return [
        _placed(operation, path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


@cache
def recorded_examples() -> dict[str, dict[str, Any]]:
    """By operation: a request's and an answer's body, as a running service gave them.

    `python -m docs.record_examples` writes the file.
    """
    found: dict[str, dict[str, Any]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return found


def _placed(operation: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    operation.setdefault("x-path", path)
    operation.setdefault("x-method", method.upper())
    return operation


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter may be left out, which FastAPI calls null; nothing in a URL or header is null."""
    others: list[dict[str, Any]] = [
        choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"
    ]
    if len(others) != 1:
        return schema
    return others[0] | {name: part for name, part in schema.items() if name != "anyOf"}


def _add_examples(operation: dict[str, Any]) -> None:
    example = recorded_examples().get(operation["operationId"], {})
    if "request" in example:
        operation["requestBody"]["content"]["application/json"]["example"] = example["request"]
    if "answer" in example:
        answers = operation["responses"]
        status = next(status for status in answers if status.startswith("2"))
        answers[status]["content"]["application/json"]["example"] = example["answer"]
