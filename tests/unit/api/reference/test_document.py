"""The OpenAPI document says everything, and nothing that is not so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.errors import documented
from api.reference.document import Document, openapi_document, operations
from core.settings import Settings

# Metadata is the user's own; the others are JSON Schemas, as draft 2020-12 has them.
MAY_BE_OPEN = {".metadata", "MethodList.data > MethodObject.hyperparameters"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    data: Path = tmp_path_factory.mktemp("data")
    return openapi_document(create_app(Settings(data_dir=data)))


def answers(document: Document) -> Iterator[tuple[str, Any]]:
    """Every schema that an answer holds, references followed, and where it is."""
    schemas = document["components"]["schemas"]
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                where = f"{operation['operationId']} {status} {kind}"
                schema = content.get("schema", content.get("itemSchema", {}))  # of a stream's items
                yield from _parts(schema, where, schemas, set())


def _parts(
    schema: Any, where: str, schemas: dict[str, Any], seen: set[str]
) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, list):
        for item in schema:
            yield from _parts(item, where, schemas, seen)
        return
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if reference is not None:
        name = reference.rpartition("/")[2]
        if name not in seen:
            yield from _parts(schemas[name], f"{where} > {name}", schemas, seen | {name})
        return
    yield where, schema
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, f"{where}.{name}", schemas, seen)
    for key in (
        *("items", "anyOf", "oneOf", "allOf", "additionalProperties", "prefixItems"),
        "contentSchema",
    ):
        yield from _parts(schema.get(key), where, schemas, seen)


def is_open(schema: dict[str, Any]) -> bool:
    """An object that may hold anything, or a value of any type."""
    if schema.get("type") == "object":
        further = schema.get("additionalProperties", "properties" not in schema)
        return further is True or further == {}
    return not {"type", "anyOf", "oneOf", "allOf", "$ref", "const", "enum"} & schema.keys()


def test_no_answer_is_an_open_object_but_a_few(document: Document) -> None:
    found = [where for where, schema in answers(document) if is_open(schema)]
    assert [where for where in found if not where.endswith(tuple(MAY_BE_OPEN))] == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, True),
        ({"type": "object", "additionalProperties": True, "properties": {}}, True),
        ({"title": "anything"}, True),
        ({"type": "object", "additionalProperties": {"type": "string"}}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, False),
        ({"anyOf": [{"type": "string"}]}, False),
    ],
)
def test_what_is_open(schema: dict[str, Any], expected: bool) -> None:
    assert is_open(schema) is expected


def test_every_operation_is_described_and_has_its_own_name(document: Document) -> None:
    found = operations(document)
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names)
    assert all("_v1_" not in name for name in names)
    for operation in found:
        assert operation.get("description"), operation["operationId"]
        assert operation["responses"]
        for parameter in operation.get("parameters", []):
            assert parameter["schema"], (operation["operationId"], parameter["name"])


def test_every_fault_has_the_one_shape(document: Document) -> None:
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            if status[0] not in "23":
                schema = answer["content"]["application/json"]["schema"]
                where = (operation["operationId"], status)
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}, where


def test_nothing_is_said_of_a_422_that_is_never_answered(document: Document) -> None:
    assert all("422" not in operation["responses"] for operation in operations(document))
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert set(documented(404)) == {404, "default"}


def test_keyed_routes_ask_for_a_key(document: Document) -> None:
    for operation in operations(document):
        if operation["x-path"].startswith("/v1/"):
            assert operation["security"], operation["operationId"]
            assert {"400", "401", "404", "503"} <= operation["responses"].keys()


def test_no_parameter_is_null(document: Document) -> None:
    for operation in operations(document):
        for parameter in operation.get("parameters", []):
            choices = parameter["schema"].get("anyOf", [parameter["schema"]])
            where = (operation["operationId"], parameter["name"])
            assert all(choice.get("type") != "null" for choice in choices), where


def test_who_is_told_to_come_again_is_told_when(document: Document) -> None:
    for operation in operations(document):
        for status in {"503", "507"} & operation["responses"].keys():
            header = operation["responses"][status]["headers"]["Retry-After"]
            assert header["required"], (operation["operationId"], status)


def test_what_a_client_has_already_need_not_be_sent(document: Document) -> None:
    for operation in operations(document):
        is_get = operation["x-method"] == "GET"
        assert ("304" in operation["responses"]) == is_get, operation["operationId"]


def test_forms_are_closed_as_objects_are(document: Document) -> None:
    """`unknown_field` is what another field is answered."""
    bodies = [
        (operation["operationId"], kind, content["schema"])
        for operation in operations(document)
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    assert len(bodies) > 20
    for name, kind, schema in bodies:
        for choice in schema.get("anyOf", [schema]) if "properties" not in schema else [schema]:
            is_open = choice.get("type") == "object" and choice.get("additionalProperties", True)
            assert not is_open, (name, kind)
