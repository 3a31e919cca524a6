"""What pydantic found wrong, as sentences for the person who wrote the request.

Each says which field, the value seen and what it may be; pydantic's own wording is for
programmers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 80  # characters of a value that a message repeats
MAX_SENTENCES = 5  # findings that one message lists


@dataclass(frozen=True)
class Finding:
    """One field at fault. `field` is its dotted path, empty for the body itself."""

    field: str
    sentence: str


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
    if kind in ("too_long", "too_short"):
        return Finding(field, f"{name} has a wrong length: {_rule(error['msg'])}.")
    return Finding(field, f"{name} is {shown(value)}; it {_rule(error['msg'])}.")


def _rule(message: str) -> str:
    """pydantic's "Input should be X" as "must be X"."""
    for subject in ("Input should ", "String should ", "Value should "):
        if message.startswith(subject):
            return f"must {message.removeprefix(subject)}"
    return message[:1].lower() + message[1:]
