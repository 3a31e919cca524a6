"""Labels that files say rather than folders: what the readers of both layouts share."""

from __future__ import annotations

from dataclasses import dataclass

from core.datasets.layout import MAX_CLASS_CHARACTERS
from core.datasets.names import shown, unprintable
from core.errors import InvalidDataset, TooLarge

MAX_BYTES = 64 * 1024 * 1024  # of one file of labels


@dataclass(frozen=True, slots=True)
class Label:
    """What is said of an image."""

    name: str
    split: str | None = None  # only where it is said and not a folder's name


@dataclass(frozen=True, slots=True)
class Labels:
    """The label of each image by its name, and the files that said so."""

    of: dict[str, Label]
    said_by: set[str]


def checked_label(text: str, where: str) -> str:
    """The label without the line break at its end. Raises InvalidDataset when it cannot name a
    class; what folders must be besides is asked of it later."""
    label = text.rstrip("\r\n")
    if not label or len(label) > MAX_CLASS_CHARACTERS or "/" in label or unprintable(label):
        raise InvalidDataset(
            f"{where} gives the label {shown(label)}; 1 to {MAX_CLASS_CHARACTERS} characters on "
            "one line without '/' are needed.",
            code="invalid_label",
        )
    return label


def check_size(name: str, size: int, most: int) -> None:
    """Before the file is read. Raises TooLarge."""
    if size > most:
        raise TooLarge(
            f"The label file {shown(name)} has {size} bytes; the most is {most}.",
            code="label_file_too_large",
        )
