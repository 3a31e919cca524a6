"""`metadata.csv`: the label of each image in the folder it lies in, or below.

    file_name,label
    0001.jpg,tench
    more/0002.jpg,goldfish

As Hugging Face's image folders have it; a `split` column may say the split where no folder does.
Other columns are passed over, and where folders can be the classes a file without these two says
nothing. Every image needs a row and every row an image: a misspelt name would otherwise make a
smaller data set without a word.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from core.datasets.container import Archive
from core.datasets.labels import MAX_BYTES, Label, Labels, check_size, checked_label
from core.datasets.layout import SPLIT_NAME, is_image
from core.datasets.names import shown
from core.errors import InvalidDataset

FILE_NAME = "metadata.csv"
_COLUMNS = ("file_name", "label")
_SPLIT = "split"


def read_labels(archive: Archive) -> Labels | None:
    """The labels of an archive in this layout; None when it is in another.

    Raises InvalidDataset or TooLarge when it is and they cannot be used.
    """
    tables = {
        entry.name: entry for entry in archive.entries if entry.name.rpartition("/")[2] == FILE_NAME
    }
    if not tables:
        return None
    images = {entry.name for entry in archive.entries if is_image(entry.name)}
    has_folders = len({name.rpartition("/")[0] for name in images}) > 1
    of: dict[str, Label] = {}
    for entry in tables.values():
        check_size(entry.name, entry.size, MAX_BYTES)
    for table, data in archive.iterate(list(tables)):
        if has_folders and not _says_labels(data):
            del tables[table]
            continue
        for line, name, label in _rows(table, data):
            where = f"Line {line} of {shown(table)}"
            if name not in images:
                raise _invalid(f"{where} names {shown(name)}, which is no image of the archive")
            if name in of:
                raise _invalid(f"{where} names {shown(name)} a second time")
            of[name] = label
    if not tables:
        return None
    unnamed = next((name for name in sorted(images) if name not in of), None)
    if unnamed is not None:
        raise InvalidDataset(
            f"The image {shown(unnamed)} has no row in {FILE_NAME}. Add one, or leave the image "
            "out.",
            code="missing_label",
        )
    return Labels(of, set(tables))


def _says_labels(data: bytes) -> bool:
    header = data.partition(b"\n")[0].decode("utf-8-sig", "replace").strip().split(",")
    return set(_COLUMNS) <= {name.strip('"') for name in header}


def _rows(table: str, data: bytes) -> Iterator[tuple[int, str, Label]]:
    """Line number, image and label of each row; blank lines are passed over."""
    what, folder = shown(table), table.removesuffix(FILE_NAME)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid(f"{what} is not UTF-8 ({error.reason} at byte {error.start})") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    known: dict[tuple[str, str | None], Label] = {}  # one for all images of a class
    try:
        header = next(reader, [])
        file_at, label_at, split_at = _columns(header, what)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise _invalid(
                    f"line {reader.line_num} of {what} has {len(row)} fields where the header has "
                    f"{len(header)}; put a name with a comma in double quotes"
                )
            label = checked_label(row[label_at], f"Line {reader.line_num} of {what}")
            split = None if split_at is None else row[split_at]
            if split is not None and not SPLIT_NAME.fullmatch(split):
                raise _invalid(f"line {reader.line_num} of {what} has the split {shown(split)}")
            found = known.setdefault((label, split), Label(label, split))
            yield reader.line_num, folder + row[file_at], found
    except csv.Error as error:
        raise _invalid(f"line {reader.line_num} of {what} is not CSV ({error})") from error


def _columns(header: list[str], what: str) -> tuple[int, int, int | None]:
    """Where `file_name`, `label` and, if there is one, `split` stand."""
    if any(header.count(name) != 1 for name in _COLUMNS) or header.count(_SPLIT) > 1:
        raise _invalid(
            f"the first line of {what} is {shown(','.join(header))}; it must name the columns "
            f"{' and '.join(_COLUMNS)}, each once"
        )
    split_at = header.index(_SPLIT) if _SPLIT in header else None
    return header.index("file_name"), header.index("label"), split_at


def _invalid(what: str) -> InvalidDataset:
    return InvalidDataset(
        f"The labels cannot be used: {what}. Correct it, or leave the file out.",
        code="invalid_metadata_csv",
    )
