"""A JSON schema as rows of a table: field, type, what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
_REFERENCE = "#/components/schemas/"


@dataclass(frozen=True)
class Word:
    """A piece of a type; `schema` names the one that it stands for."""

    text: str
    schema: str | None = None


@dataclass(frozen=True)
class Field:
    """One row. `name` is a path from the root: `evaluation.splits[].name`."""

    name: str
    words: tuple[Word, ...]
    is_required: bool
    description: str
    default: str | None


def fields_of(schema: dict[str, Any], prefix: str = "") -> list[Field]:
    """The fields of an object, those of inlined objects after the field they are in."""
    found = []
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        default = part.get("default")
        found.append(
            Field(
                prefix + name,
                type_of(part),
                name in required,
                part.get("description", ""),
                None if default is None or default in ([], {}) else str(default),
            )
        )
        found += _within(part, prefix + name)
    for part in schema.get("anyOf", ()) if not found else ():
        found += [field for field in fields_of(part, prefix) if field.name not in _names(found)]
    return found


def type_of(schema: dict[str, Any]) -> tuple[Word, ...]:
    """A type in words: `array of FineTuningJob or null`, bounds in brackets."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return (Word(name, name),)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _joined([type_of(choice) for choice in choices])
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return type_of(schema["allOf"][0])
    if "const" in schema:
        return (Word(repr(schema["const"])),)
    if "enum" in schema:
        return (Word(" | ".join(map(repr, schema["enum"]))),)
    kind = schema.get("type", "any")
    if kind == "array":
        return (Word("array of "), *type_of(schema.get("items", {})), *_bounds(schema))
    if kind == "object" and "properties" not in schema:
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            return (Word("object of "), *type_of(values))
    if schema.get("format") in ("binary", "date-time", "uri"):
        kind = f"{kind} ({schema['format']})"
    return (Word(kind), *_bounds(schema))


def _within(part: dict[str, Any], name: str) -> list[Field]:
    found = fields_of(part, f"{name}.") if "properties" in part else []
    items = part.get("items", {})
    if "properties" in items:
        found += fields_of(items, f"{name}[].")
    for choice in part.get("anyOf", ()):
        found += [field for field in _within(choice, name) if field.name not in _names(found)]
    return found


def _names(fields: list[Field]) -> set[str]:
    return {field.name for field in fields}


def _joined(types: list[tuple[Word, ...]]) -> tuple[Word, ...]:
    words: list[Word] = []
    for place, kind in enumerate(types):
        words += [Word(" or "), *kind] if place else kind
    return tuple(words)


def _bounds(schema: dict[str, Any]) -> tuple[Word, ...]:
    said = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    return (Word(f" ({', '.join(said)})"),) if said else ()
