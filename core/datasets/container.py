"""What ZIP and TAR have in common: entries, the checks on them, bounded reading.

A reader parses its format and hands each entry to a `Collector`, which refuses what no format
makes acceptable: dangerous or colliding names, nested archives, too many or too large entries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Literal, Self
from unicodedata import normalize

from core.datasets.limits import Limits
from core.datasets.names import checked_name, folded, is_junk, shown
from core.datasets.sources import ByteSource
from core.errors import InvalidDataset, TooLarge

Format = Literal["zip", "tar", "tar.gz", "tar.zst", "webdataset", "csv", "parquet"]

_ARCHIVE_SUFFIXES = (
    *(".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".lz4"),
    *(".7z", ".rar", ".jar", ".cab", ".iso"),
)
# First bytes of archives and compressed streams; no image format we read starts with them.
_ARCHIVE_MAGIC = (
    *(b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"),
    *(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file in an archive. `name` is its key everywhere in the service."""

    name: str
    size: int  # bytes once decompressed
    offset: int  # where its data starts; in a tar.gz, in the decompressed stream
    stored_size: int  # bytes it takes in the archive
    deflated: bool = False
    crc32: int | None = None


class Archive(ABC):
    """A checked, read-only archive. Nothing is ever extracted to disk.

    Opening one parses and checks all headers. `read` and `iterate` may be called from several
    threads at once.
    """

    format: Format

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self.entries: list[Entry] = []
        self.folders: list[str] = []  # explicit folder entries, where the archive has any
        # Where labels name the images: what the archive itself calls each, and where they lie.
        self.originals: dict[str, str] = {}
        self.wrapping = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    def read(self, name: str) -> bytes:
        """One entry's bytes. Raises KeyError for a name that is no entry.

        In a tar.gz this decompresses everything before it: use `iterate` for more than one.
        """
        return next(iter(self._read([self._by_name[name]])))[1]

    def iterate(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The named entries in the archive's own order, in one pass. KeyError as in `read`."""
        wanted = set(names)
        for name in wanted:
            self._by_name[name]
        return self._read([entry for entry in self.entries if entry.name in wanted])

    @abstractmethod
    def _read(self, entries: list[Entry]) -> Iterator[tuple[str, bytes]]:
        """Read these entries, which are in the archive's order."""

    @cached_property
    def _by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}


class Collector:
    """Gathers an archive's entries and refuses the unacceptable ones."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen = 0
        self._total_bytes = 0
        self._files: dict[str, str] = {}  # folded name -> name
        self._folders: dict[str, str] = {}
        self._known_parents: set[str] = {""}
        self.entries: list[Entry] = []
        self.folders: list[str] = []

    def name(self, raw: str) -> str:
        """The entry's checked name, counting one entry more."""
        self._seen += 1
        if self._seen > self._limits.max_archive_entries:
            raise TooLarge(
                f"The archive holds more than {self._limits.max_archive_entries} entries, the "
                f"most accepted; {shown(raw)} is one too many. Split the data set.",
                code="too_many_entries",
            )
        return checked_name(raw)

    def add_folder(self, name: str) -> None:
        """A folder entry, by its checked name."""
        if name == "." or is_junk(f"{name}/"):
            return
        self._check_parents(name)
        self.folders.append(name)

    def add_file(self, entry: Entry) -> None:
        """A regular file. Junk that operating systems leave is dropped here, unmentioned."""
        self._check_size(entry)
        if is_junk(entry.name):
            return
        self._check_collisions(entry.name)
        if entry.name.lower().endswith(_ARCHIVE_SUFFIXES):
            raise nested_archive(entry.name)
        self.entries.append(entry)

    def finish(self) -> None:
        """Raises InvalidDataset when there was nothing in the archive."""
        if not self.entries:
            raise empty_archive()

    def _check_size(self, entry: Entry) -> None:
        limits = self._limits
        if entry.size > limits.max_image_bytes:
            raise TooLarge(
                f"The entry {shown(entry.name)} has {entry.size} bytes; the most is "
                f"{limits.max_image_bytes}. Make the image smaller or leave the file out.",
                code="entry_too_large",
            )
        self._total_bytes += entry.size
        if self._total_bytes > limits.max_archive_bytes:
            raise TooLarge(
                f"The archive's entries up to {shown(entry.name)} hold {self._total_bytes} bytes; "
                f"the most is {limits.max_archive_bytes}. Split the data set.",
                code="archive_too_large",
            )

    def _check_collisions(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent not in self._known_parents:
            self._check_parents(parent)
        key = folded(name)
        if key in self._files:
            raise _collision(self._files[key], name)
        self._files[key] = name
        if key in self._folders:
            raise _collision(self._folders[key], name)

    def _check_parents(self, folder: str) -> None:
        """Folders that differ only by case would be one folder, so one class, on some disks."""
        while folder not in self._known_parents:
            key = folded(folder)
            other = self._folders.setdefault(key, folder)
            if other != folder:
                raise _collision(other, folder)
            if key in self._files:
                raise _collision(self._files[key], folder)
            self._known_parents.add(folder)
            folder = folder.rpartition("/")[0]


def empty_archive() -> InvalidDataset:
    """No bytes, or no entries."""
    return InvalidDataset(
        "The archive holds no files. Upload one with a folder of images for each class.",
        code="archive_empty",
    )


def nested_archive(name: str) -> InvalidDataset:
    """An archive in the archive."""
    return InvalidDataset(
        f"The entry {shown(name)} is itself an archive. Unpack it, and upload one archive whose "
        "folders hold the images.",
        code="nested_archive",
    )


def looks_like_archive(data: bytes) -> bool:
    """Whether the bytes start as an archive or a compressed stream does."""
    return data.startswith(_ARCHIVE_MAGIC) or data[257:262] == b"ustar"


def unsupported_entry(name: str, kind: str) -> InvalidDataset:
    """A link, a device, or anything else that is no regular file."""
    return InvalidDataset(
        f"The entry {shown(name)} is {kind}; only regular files and folders are accepted. "
        "Make the archive with links followed (tar -h --hard-dereference).",
        code="not_a_regular_file",
    )


def _collision(first: str, second: str) -> InvalidDataset:
    if first == second:
        return InvalidDataset(
            f"The entry {shown(second)} occurs twice in the archive (or is both a file and a "
            "folder). Make the archive again from a folder.",
            code="duplicate_name",
        )
    code, why = "case_collision", "upper and lower case"
    if normalize("NFC", first) == normalize("NFC", second):
        code, why = "unicode_collision", f"Unicode normalisation ({first!a} and {second!a})"
    return InvalidDataset(
        f"The entries {shown(first)} and {shown(second)} differ only by {why}: on many disks "
        "they are one. Rename one of them.",
        code=code,
    )
