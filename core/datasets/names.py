"""Which names an archive's entries may have.

Nothing is ever written to disk under these names, so a traversal could not escape anything here.
They are refused all the same: the names reach reports, object stores and the disks of people who
download results, and an archive that holds one was made by an accident or an attack.
"""

from __future__ import annotations

import re
import unicodedata

from core.errors import InvalidDataset

MAX_NAME_BYTES = 1024
MAX_PART_BYTES = 255  # what ext4, APFS and NTFS take
_SHOWN_CHARACTERS = 120

# The names of nearly every real data set; one match instead of the checks below.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]*(?:/[A-Za-z0-9_-][A-Za-z0-9_. -]*)*")
_DRIVE = re.compile(r"[A-Za-z]:")
# Characters that make a name read differently from what it is: they reorder the text around them.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})

_JUNK_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN", "System Volume Information"})
_JUNK_FILES = frozenset({".DS_Store", ".localized", "Thumbs.db", "desktop.ini"})


def checked_name(raw: str) -> str:
    """`raw` without a leading `./`, as `tar -C folder .` writes. Raises InvalidDataset.

    A single `.` stays: it is the folder that such an archive was made from.
    """
    if len(raw) <= MAX_PART_BYTES and _PLAIN.fullmatch(raw):
        return raw
    name = raw
    while name.startswith("./"):
        name = name[2:]
    _check_characters(name)
    _check_path(name)
    return name


def is_junk(name: str) -> bool:
    """Whether an operating system put the file there and no person would miss it."""
    folder, _, base = name.rpartition("/")
    if base.startswith("._") or base in _JUNK_FILES:
        return True
    return bool(folder) and not _JUNK_FOLDERS.isdisjoint(folder.split("/"))


def folded(name: str) -> str:
    """Equal for names that a case-insensitive or Unicode-normalising disk takes for one.

    Lower case rather than case folding: folding would make `Maße` and `Masse` one class.
    """
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


def shown(name: str) -> str:
    """The name for a message: quoted, control characters escaped, of bounded length."""
    if len(name) > _SHOWN_CHARACTERS:
        name = name[:_SHOWN_CHARACTERS] + "..."
    quoted = repr(name)
    return "".join(c if c not in _REORDERING else f"\\u{ord(c):04x}" for c in quoted)


def unprintable(text: str) -> str | None:
    """The first character of the text that cannot be seen or moves others, if there is one."""
    for character in text:
        if unicodedata.category(character) in _UNPRINTABLE_CATEGORIES or character in _REORDERING:
            return character
    return None


def _check_characters(name: str) -> None:
    character = unprintable(name)
    if character is not None:
        raise InvalidDataset(
            f"The entry {shown(name)} has the control character U+{ord(character):04X} in its "
            "name. Rename the file and make the archive again.",
            code="control_character",
        )


def _check_path(name: str) -> None:
    if not name:
        raise InvalidDataset(
            "An entry of the archive has an empty name. Make the archive again.", code="empty_name"
        )
    if "\\" in name:
        raise InvalidDataset(
            f"The entry {shown(name)} has a backslash in its name. Archives separate folders "
            "with '/': make the archive with a tool that does.",
            code="backslash",
        )
    if name.startswith("/") or _DRIVE.match(name):
        raise InvalidDataset(
            f"The entry {shown(name)} has an absolute path. Make the archive from inside the "
            "folder, so that names start with a split or a class.",
            code="absolute_path",
        )
    parts = name.split("/")
    if ".." in parts:
        raise InvalidDataset(
            f"The entry {shown(name)} points outside the archive with '..'. Make the archive "
            "from inside the folder.",
            code="path_traversal",
        )
    if ("." in parts and name != ".") or "" in parts:
        raise InvalidDataset(
            f"The entry {shown(name)} has an empty or '.' folder in its path. Make the archive "
            "again with plain paths.",
            code="unnormalised_path",
        )
    if len(name.encode()) > MAX_NAME_BYTES or any(
        len(part.encode()) > MAX_PART_BYTES for part in parts
    ):
        raise InvalidDataset(
            f"The entry {shown(name)} has a name of {len(name.encode())} bytes; the most is "
            f"{MAX_NAME_BYTES}, and {MAX_PART_BYTES} for one folder or file. Shorten it.",
            code="name_too_long",
        )
