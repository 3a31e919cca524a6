"""Every fault's code, status and sentences, read from the source: what `/docs` lists.

A message is written once, where it is raised; this finds it there. `python -m docs.render` writes
the list and `--check` refuses one that the code has left behind.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api.errors import status_of
from core import errors
from core.errors import ServiceError

ROOT = Path(__file__).parents[1]

_ROOMS = ("api", "core", "worker")  # what a client of the API can meet
_GAP = "…"  # stands for a value seen
_OWN_CLASSES = {"UnreadableImage": errors.InvalidRequest}  # told to clients as this


@dataclass(frozen=True, order=True)
class _Raised:
    status: int
    code: str
    message: str


def faults_document() -> str:
    """The list as JSON: `[{"status", "code", "messages"}]`, by status and code."""
    found: dict[tuple[int, str], list[str]] = {}
    for raised in sorted(set(_raised())):
        messages = found.setdefault((raised.status, raised.code), [])
        if raised.message.strip(f"{_GAP}. "):  # else it is put together elsewhere
            messages.append(raised.message)
    listed = [
        {"status": status, "code": code, "messages": messages}
        for (status, code), messages in found.items()
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def _raised() -> Iterator[_Raised]:
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield from _of_call(node)


def _of_call(call: ast.Call) -> Iterator[_Raised]:
    """A fault of one of our classes, or an answer made without one."""
    match call:
        case ast.Call(
            func=ast.Name("error_response"),
            args=[ast.Constant(int(status)), said, ast.Constant(code)],
        ):
            yield _Raised(status, str(code), _sentence(said))
        case _:
            yield from _of_class(call)


def _of_class(call: ast.Call) -> Iterator[_Raised]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    kind = _OWN_CLASSES.get(name) or getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, ServiceError) and call.args):
        return
    code = next((word.value for word in call.keywords if word.arg == "code"), None)
    if code is not None and not isinstance(code, ast.Constant):
        return  # passed on: it is raised with its code elsewhere
    said = kind.default_code if code is None else str(code.value)
    message = _sentence(call.args[0])
    yield _Raised(status_of(kind("")), said, message)


def _sentence(node: ast.expr) -> str:
    """A message with a gap for each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_sentence(part) for part in node.values)
    return _GAP
