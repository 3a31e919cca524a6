"""Every operation's examples: there, and what the document says they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.app import create_app
from api.reference.document import Document, openapi_document, operations, recorded_examples
from core.settings import Settings

JSON = "application/json"
A_FILE = {"download_report"}  # its answer is a stored file, of one of three kinds


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    data: Path = tmp_path_factory.mktemp("data")
    return openapi_document(create_app(Settings(data_dir=data)))


def places(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """Wherever the document has JSON go to or come from the service when all is well."""
    for operation in operations(document):
        name = operation["operationId"]
        if name in A_FILE:
            continue
        body = operation.get("requestBody", {}).get("content", {})
        if JSON in body:
            yield f"{name}, request", body[JSON]
        for status, answer in operation["responses"].items():
            if status[0] == "2" and JSON in answer.get("content", {}):
                yield f"{name}, answer", answer["content"][JSON]


def test_each_has_one(document: Document) -> None:
    assert [where for where, content in places(document) if "example" not in content] == []


def test_each_is_what_its_schema_says(document: Document) -> None:
    wrong = [
        f"{where}: {fault.json_path} {fault.message}"
        for where, content in places(document)
        for fault in _validator(content["schema"], document).iter_errors(content["example"])
    ]
    assert wrong == []


def test_a_wrong_example_would_be_found(document: Document) -> None:
    content = dict(places(document))["retrieve_job, answer"]
    faults = _validator(content["schema"], document).iter_errors(
        content["example"] | {"status": "resting"}
    )
    assert [fault.json_path for fault in faults] == ["$.status"]


def test_none_is_of_an_operation_that_went() -> None:
    document = openapi_document(create_app(Settings(data_dir=Path("nowhere"))))
    known = {operation["operationId"] for operation in operations(document)}
    assert recorded_examples().keys() <= known


def test_no_secret_is_whole() -> None:
    assert [text for name, text in _texts(recorded_examples()) if name == "secret"] != []
    for name, text in _texts(recorded_examples()):
        assert name != "secret" or text.endswith("…")


def _validator(schema: dict[str, Any], document: Document) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, name)
    elif isinstance(value, str):
        yield name, value
