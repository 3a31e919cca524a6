"""The reference page: whole, and with nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from api.reference.faults import faults
from api.reference.page import reference_page
from api.reference.schemas import Word, fields_of, type_of
from docs.faults import faults_document
from tests.api_service import Service


class Page(HTMLParser):
    """Ids, links and elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.links += [str(given[name]) for name in ("href", "src") if given.get(name)]
        assert not any(name.startswith("on") or name == "style" for name in given)


def test_the_page_is_open_and_needs_nothing_from_elsewhere(service: Service) -> None:
    answer = service.client.get("/docs", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    assert answer.headers["content-security-policy"] == policy
    page = Page(answer.text)
    assert not page.elements & {"script", "style", "iframe", "img"}
    assert all(link.startswith(("#", "/docs", "/openapi.json")) for link in page.links)
    assert len(set(page.ids)) == len(page.ids)
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    assert anchors <= set(page.ids)
    style = service.client.get("/docs/style.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text and "@import" not in style.text


def test_every_operation_and_object_is_on_the_page(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    page = Page(service.client.get("/docs").text)
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["operationId"] in page.ids
    for name in document["components"]["schemas"]:
        assert f"schema-{name}" in page.ids


def test_text_is_escaped(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    document["info"]["description"] = "<script>`<b>`"
    shown = reference_page(document)
    assert "<script>" not in shown
    assert "&lt;script&gt;<code>&lt;b&gt;</code>" in shown


def test_the_faults_are_those_that_the_source_raises() -> None:
    listed = {(fault.status, fault.code) for fault in faults()}
    assert (404, "model_not_found") in listed
    assert (413, "file_too_large") in listed
    assert (400, "unreadable_image") in listed
    for fault in faults():
        assert re.fullmatch(r"[a-z_0-9]+", fault.code)
    assert sum(bool(fault.messages) for fault in faults()) > 0.9 * len(faults())
    assert '"code": "path_traversal"' in faults_document()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "maxLength": 5}, "string (at most 5 characters)"),
        ({"type": "array", "items": {"type": "number"}}, "array of number"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer or null"),
        ({"enum": ["a", "b"]}, "'a' | 'b'"),
        ({"const": "list"}, "'list'"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
        ({}, "any"),
    ],
)
def test_types_in_words(schema: dict[str, object], expected: str) -> None:
    assert "".join(word.text for word in type_of(schema)) == expected


def test_fields_of_inlined_objects_follow_their_own() -> None:
    inner = {"type": "object", "properties": {"name": {"$ref": "#/components/schemas/Name"}}}
    schema = {
        "properties": {
            "splits": {"type": "array", "items": inner, "description": "Some."},
            "n": {"type": "integer", "default": 3},
        },
        "required": ["splits"],
    }
    splits, name, n = fields_of(schema)
    assert (splits.name, splits.is_required, splits.description) == ("splits", True, "Some.")
    assert (name.name, name.words) == ("splits[].name", (Word("Name", "Name"),))
    assert (n.name, n.is_required, n.default) == ("n", False, "3")
