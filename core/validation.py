"""What pydantic found wrong, as sentences for the person who wrote the request.

Each says which field, the value seen and what it may be; pydantic's own wording is for
programmers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

MAX_SHOWN = 80  # characters of a value that a message repeats
MAX_SENTENCES = 5  # findings that one message lists
_EXACT = 2**53  # up to here every whole number is a float of its own

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Finding:
    """One field at fault. `field` is its dotted path, empty for the body itself."""

    field: str
    sentence: str


def read_json(model: type[Model], content: Any) -> Model:
    """What somebody wrote as JSON, as the model, by JSON's types: "1" and true are no numbers,
    0 is not false. 1.0 is a whole number, as JSON Schema has it. Raises ValidationError."""
    return model.model_validate(_with_whole_numbers(content), strict=True)


def findings(
    errors: Iterable[Mapping[str, Any]], *, known_fields: Sequence[str] = ()
) -> list[Finding]:
    """One finding for each of `ValidationError.errors()`, in order."""
    return [_finding(error, known_fields) for error in errors]


def joined(found: Sequence[Finding]) -> str:
    """The findings as one message of bounded length."""
    sentences = [finding.sentence for finding in found[:MAX_SENTENCES]]
    if len(found) > MAX_SENTENCES:
        sentences.append(f"{len(found) - MAX_SENTENCES} more fields are wrong.")
    return " ".join(sentences)


def shown(value: object) -> str:
    """The value for a message: quoted, escaped, of bounded length."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def _with_whole_numbers(content: Any) -> Any:
    if isinstance(content, float) and content.is_integer() and abs(content) <= _EXACT:
        return int(content)
    if isinstance(content, list):
        return [_with_whole_numbers(item) for item in content]
    if isinstance(content, dict):
        return {name: _with_whole_numbers(item) for name, item in content.items()}
    return content


def _finding(error: Mapping[str, Any], known_fields: Sequence[str]) -> Finding:
    field = ".".join(str(part) for part in error["loc"])
    kind, value = error["type"], error.get("input")
    name = field or "The body"
    if kind == "missing":
        return Finding(field, f"{name} is missing.")
    if kind == "extra_forbidden":
        top_level = f" The fields are {', '.join(known_fields)}." if known_fields else ""
        more = top_level if "." not in field else ""
        return Finding(field, f"{shown(field)} is not a field of this request.{more}")
    if kind == "value_error":
        return Finding(field, f"{error['msg'].removeprefix('Value error, ')}.")
    if kind == "string_too_long":
        longest = error["ctx"]["max_length"]
        return Finding(
            field, f"{name} has {len(str(value))} characters; the most is {longest} characters."
        )
    if kind in ("model_type", "dict_type"):
        return Finding(field, f"{name} is {shown(value)}; it must be an object.")
    if kind in ("too_long", "too_short"):
        return Finding(field, f"{name} has a wrong length: {_rule(error['msg'])}.")
    return Finding(field, f"{name} is {shown(value)}; it {_rule(error['msg'])}.")


def _rule(message: str) -> str:
    """pydantic's "Input should be X" as "must be X"."""
    for subject in ("Input should ", "String should ", "Value should "):
        if message.startswith(subject):
            return f"must {message.removeprefix(subject)}"
    return message[:1].lower() + message[1:]
