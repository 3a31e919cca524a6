"""A method and its hyperparameters as a user wrote them: checked, and every "auto" a number."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from core.errors import InvalidSpec
from core.jobs.faults import Several
from core.jobs.request import JobRequest
from core.learning.methods import registry
from core.learning.methods.base import Method
from core.validation import MAX_SENTENCES, shown

_OPTIONS = ("hyperparameters", "inputs")
_BOUNDS = (  # JSON Schema's words, and pydantic's for a bound on a union
    ("exclusiveMinimum", "greater than"),
    ("gt", "greater than"),
    ("minimum", "at least"),
    ("ge", "at least"),
    ("exclusiveMaximum", "less than"),
    ("lt", "less than"),
    ("maximum", "at most"),
    ("le", "at most"),
)
_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "a string",
    "null": "null",
}


def find_method(request: JobRequest) -> type[Method]:
    """The method the request names. Raises InvalidSpec with the list of methods."""
    known = registry()
    name = request.method.type
    if name not in known:
        raise InvalidSpec(
            f"There is no method {shown(name)}; the methods are {', '.join(known)}.",
            code="unknown_method",
            param="method.type",
        )
    _check_shape(request)
    return known[name]


def resolve_hyperparameters(
    method: type[Method], request: JobRequest, n_train: int
) -> dict[str, Any]:
    """The method's resolved hyperparameters. Raises InvalidSpec naming field, value and range."""
    own = request.method.options().get("hyperparameters") or {}
    where = f"method.{method.name}.hyperparameters"
    if not isinstance(own, dict):
        raise InvalidSpec(
            f"{where} is {shown(own)}; it must be an object of names and values.",
            code="invalid_hyperparameters",
            param=where,
        )
    given = {**(request.hyperparameters or {}), **own}
    try:
        return method.resolve(given, n_train=n_train)
    except ValidationError as error:
        raise _explain(method, error, where) from error


def allowed(schema: dict[str, Any]) -> str:
    """What a JSON schema of one field lets through: `a number at least 0 and less than 1`."""
    if "anyOf" in schema:
        shared = {key: value for key, value in schema.items() if key != "anyOf"}
        return " or ".join(_option(option, shared) for option in schema["anyOf"])
    return _option(schema, {})


def _check_shape(request: JobRequest) -> None:
    """Nothing a user wrote under `method` is ignored."""
    method = request.method
    others = [name for name in method.model_extra or {} if name != method.type]
    if others:
        raise InvalidSpec(
            f"method has {', '.join(map(shown, others))} beside its type {shown(method.type)}; "
            f'write the options of a method under its own name: {{"type": "{method.type}", '
            f'"{method.type}": {{"hyperparameters": {{...}}}}}}.',
            code="invalid_method",
            param="method",
        )
    written = (method.model_extra or {}).get(method.type, {})
    if not isinstance(written, dict):
        raise InvalidSpec(
            f"method.{method.type} is {shown(written)}; it must be an object with "
            f"{' and '.join(_OPTIONS)}.",
            code="invalid_method",
            param=f"method.{method.type}",
        )
    unknown = [name for name in written if name not in _OPTIONS]
    if unknown:
        raise InvalidSpec(
            f"method.{method.type} has no {', '.join(map(shown, unknown))}; it has "
            f"{' and '.join(_OPTIONS)}.",
            code="invalid_method",
            param=f"method.{method.type}",
        )


def _explain(method: type[Method], error: ValidationError, where: str) -> Several:
    properties = method.Hyperparameters.model_json_schema()["properties"]
    sentences: dict[str, str] = {}
    for finding in error.errors():
        name = str(finding["loc"][0]) if finding["loc"] else ""
        if name in sentences:
            continue  # each branch of a union reports for itself
        if finding["type"] == "extra_forbidden":
            sentences[name] = _unknown(method, name, list(properties))
        elif name in properties:
            seen = shown(_value(finding, name))
            sentences[name] = f"{name} is {seen}; it must be {allowed(properties[name])}."
        else:
            sentences[name] = f"{finding['msg'].removeprefix('Value error, ')}."
    unknown_only = all(finding["type"] == "extra_forbidden" for finding in error.errors())
    code = "unknown_hyperparameter" if unknown_only else "invalid_hyperparameter"
    each = [
        InvalidSpec(sentence, code=code, param=f"{where}.{name}" if name else where)
        for name, sentence in sentences.items()
    ]
    return Several(each, " ".join(list(sentences.values())[:MAX_SENTENCES]), code=code)


def _unknown(method: type[Method], name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    has = f"it has {', '.join(known)}" if known else "it has none"
    return f"{method.name} has no hyperparameter {shown(name)}; {has}.{meant}"


def _value(finding: Any, name: str) -> object:
    """The value as the user wrote it; an error of the whole object has the object as its input."""
    value = finding["input"]
    return value.get(name) if isinstance(value, dict) and len(finding["loc"]) == 1 else value


def _option(schema: dict[str, Any], shared: dict[str, Any]) -> str:
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"a list, each item {allowed(schema.get('items', {}))}"
    kind = _TYPES.get(schema.get("type", ""), "another value")
    if schema.get("type") not in ("integer", "number"):
        return kind
    limits = {**shared, **schema}
    bounds = [f"{words} {limits[key]:g}" for key, words in _BOUNDS if key in limits]
    return f"{kind} {' and '.join(bounds)}" if bounds else kind
