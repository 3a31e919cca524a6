"""`classes.json`: readable names for class folders, and templates for the zero-shot head.

    {"names": {"n01440764": "tench"}, "templates": ["a photo of a {}."]}

Both parts may be left out. What is given must be right to the letter: a misspelt folder would
otherwise train a head on the folder's name and nobody would see why it is worse.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from core.datasets.names import shown
from core.errors import InvalidDataset, TooLarge

FILE_NAME = "classes.json"
MAX_BYTES = 8 * 1024 * 1024
MAX_READABLE_NAME_CHARACTERS = 200
MAX_TEMPLATES = 500
MAX_TEMPLATE_CHARACTERS = 200
_SLOT = "{}"


@dataclass(frozen=True, slots=True)
class ClassNames:
    """What the file says of the classes that the archive has."""

    names: dict[str, str] = field(default_factory=dict)
    templates: list[str] | None = None


def check_size(size: int) -> None:
    """Before the file is read. Raises TooLarge."""
    if size > MAX_BYTES:
        raise TooLarge(
            f"{FILE_NAME} has {size} bytes; the most is {MAX_BYTES}. Shorten it.",
            code="classes_json_too_large",
        )


def parse_class_names(data: bytes, classes: Iterable[str]) -> ClassNames:
    """The file's content, for these class folders. Raises InvalidDataset.

    Names of other classes are left out: one file may serve a data set and its subsets.
    """
    content = _load(data)
    unknown = sorted(content.keys() - {"names", "templates"})
    if unknown:
        raise _invalid(f"it has the key {shown(unknown[0])}; only names and templates are read")
    templates = content.get("templates")
    return ClassNames(
        names=_names(content["names"], list(classes)) if "names" in content else {},
        templates=None if templates is None else _templates(templates),
    )


def _load(data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise _invalid(f"it is not UTF-8 ({error.reason} at byte {error.start})") from error
    # ValueError: also a number of thousands of digits, which Python declines to read.
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise _invalid(f"it holds a {type(content).__name__} where an object is expected")
    return content


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _invalid(f"the key {shown(repeated)} occurs twice")
    return content


def _names(names: Any, classes: list[str]) -> dict[str, str]:
    if not isinstance(names, dict):
        raise _invalid("names is not an object of class folder to readable name")
    for key, name in names.items():
        _check_text(name, MAX_READABLE_NAME_CHARACTERS, f"the name of the class {shown(key)}")
    missing = [name for name in classes if name not in names]
    if missing:
        present = set(classes)
        strangers = [key for key in names if key not in present]
        hint = f" It names {shown(strangers[0])}, which no folder has." if strangers else ""
        raise _invalid(
            f"names lacks {len(missing)} of {len(classes)} classes, the first {shown(missing[0])}."
            f"{hint}"
        )
    return {name: names[name] for name in classes}


def _templates(templates: Any) -> list[str]:
    if not isinstance(templates, list) or not 1 <= len(templates) <= MAX_TEMPLATES:
        raise _invalid(f"templates is not a list of 1 to {MAX_TEMPLATES} texts")
    for number, template in enumerate(templates):
        what = f"template {number}"
        _check_text(template, MAX_TEMPLATE_CHARACTERS, what)
        rest = template.replace(_SLOT, "", 1)
        # Other braces would mean something to a formatter; they mean nothing in a caption.
        if rest == template or "{" in rest or "}" in rest:
            raise _invalid(
                f"{what} is {shown(template)}; it must contain {{}} exactly once, where the class "
                "name goes, and no other braces"
            )
    return templates


def _check_text(text: Any, most: int, what: str) -> None:
    if not isinstance(text, str) or not text.strip() or len(text) > most:
        raise _invalid(f"{what} is {shown(str(text))}; a text of 1 to {most} characters is needed")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise _invalid(f"{what}, {shown(text)}, has a control character")


def _invalid(what: str) -> InvalidDataset:
    return InvalidDataset(
        f"{FILE_NAME} cannot be used: {what.rstrip('.')}. Correct it, or leave it out.",
        code="invalid_classes_json",
    )
