"""WebDataset shards: the members of a sample share a name up to its first dot.

    000017.jpg
    000017.cls      a class's number or name; or .json with a key for it; or .txt with its name

`.cls` always means this. A `.txt` or `.json` beside each image means it only where no folders could
be classes, since captions look the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from core.datasets.container import Archive, Entry
from core.datasets.labels import Label, Labels, check_size, checked_label
from core.datasets.layout import is_image
from core.datasets.names import shown
from core.errors import InvalidDataset

SAYING = ("cls", "json", "txt")  # the first that a sample has counts
JSON_KEYS = ("label", "cls", "class", "class_name")
MAX_LABEL_BYTES = 1024 * 1024


def read_labels(archive: Archive) -> Labels | None:
    """The labels of an archive in this layout; None when it is in another.

    Raises InvalidDataset or TooLarge when it is and they cannot be used.
    """
    images = {entry.name: _key(entry.name) for entry in archive.entries if is_image(entry.name)}
    keys = set(images.values())
    saying = {
        (_key(entry.name), suffix): entry
        for entry in archive.entries
        if (suffix := _suffix(entry.name)) in SAYING and _key(entry.name) in keys
    }
    if not _is_meant(images, saying):
        return None
    chosen = {name: _choose(name, key, saying) for name, key in images.items()}
    _check_one_image_each(images)
    found = _read(archive, {entry.name: entry for entry in chosen.values()})
    of = {name: Label(found[entry.name]) for name, entry in chosen.items()}
    return Labels(of, {entry.name for entry in saying.values()})


def _is_meant(images: dict[str, str], saying: Iterable[tuple[str, str]]) -> bool:
    keys = {suffix: {key for key, other in saying if other == suffix} for suffix in SAYING}
    if keys["cls"]:
        return True
    folders = {name.rpartition("/")[0] for name in images}
    return len(folders) == 1 and 2 * len(keys["json"] | keys["txt"]) > len(images)


def _choose(name: str, key: str, saying: dict[tuple[str, str], Entry]) -> Entry:
    found = next((saying[key, suffix] for suffix in SAYING if (key, suffix) in saying), None)
    if found is None:
        raise InvalidDataset(
            f"The image {shown(name)} has no label: there is no {shown(f'{key}.cls')} (or .json, "
            "or .txt) beside it. Add it, or leave the image out.",
            code="missing_label",
        )
    return found


def _check_one_image_each(images: dict[str, str]) -> None:
    first: dict[str, str] = {}
    for name, key in images.items():
        if key in first:
            raise InvalidDataset(
                f"The sample {shown(key)} has two images, {shown(first[key])} and {shown(name)}. "
                "Keep one.",
                code="ambiguous_sample",
            )
        first[key] = name


def _read(archive: Archive, entries: dict[str, Entry]) -> dict[str, str]:
    for entry in entries.values():
        check_size(entry.name, entry.size, MAX_LABEL_BYTES)
    known: dict[str, str] = {}  # one text for all images of a class
    found = {}
    for name, data in archive.iterate(entries):
        label = checked_label(_text(name, data), shown(name))
        found[name] = known.setdefault(label, label)
    return found


def _text(name: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
        if _suffix(name) != "json":
            return text
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidDataset(
            f"The label file {shown(name)} cannot be read: {error}.", code="invalid_label"
        ) from error
    value = _value(content)
    if value is None:
        raise InvalidDataset(
            f"The label file {shown(name)} says no class: it needs a text or a number under one of "
            f"{', '.join(JSON_KEYS)}.",
            code="invalid_label",
        )
    return value


def _value(content: Any) -> str | None:
    if isinstance(content, dict):
        content = next((content[key] for key in JSON_KEYS if key in content), None)
    if isinstance(content, bool) or not isinstance(content, str | int):
        return None
    return str(content)


def _key(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.partition('.')[0]}"


def _suffix(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[2].lower()
