"""DomainNet: a folder for each domain, a folder for each class in it, and two lists a domain.

    real/aircraft_carrier/real_001_000001.jpg    real_train.txt    real_test.txt

A list has a line `path label` for each image; the label, an index, is not needed. The lists lie
beside the domains or in `splits/`. What is trained and scored is the protocol of Lipsum-FT: the
domain real, train and test, and the test lists of painting, clipart, infograph and sketch, those
of them that are there. Quickdraw is left out, as by the authors: a mean over shifts with it would
be another number. Readable names are the folders' names as they are, underscores included, since
the paper's prompts have them so.
Source: Peng et al., "Moment matching for multi-source domain adaptation", ICCV 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.datasets.layouts.entry import ImageEntry, KnownLayout, not_laid_out, require_folders
from core.datasets.names import shown
from core.errors import InvalidDataset

_TRAINED = "real"
_SHIFTED = ("painting", "clipart", "infograph", "sketch")
_EXPECTED = "real/ with a folder for each class, and real_train.txt and real_test.txt"


def read_domainnet(source: Path) -> Iterator[ImageEntry]:
    """`real`'s lists as train and test, the other domains' test lists as splits of their names."""
    require_folders(source, [_TRAINED], _EXPECTED)
    present = [domain for domain in _SHIFTED if (source / domain).is_dir()]
    lists = [
        ("train", _TRAINED, _find_list(source, f"{_TRAINED}_train.txt")),
        ("test", _TRAINED, _find_list(source, f"{_TRAINED}_test.txt")),
        *((domain, domain, _find_list(source, f"{domain}_test.txt")) for domain in present),
    ]
    for split, domain, path in lists:
        yield from _read_list(source, split, domain, path)


LAYOUTS = (KnownLayout("domainnet", _EXPECTED, 345, read_domainnet),)


def _find_list(source: Path, name: str) -> Path:
    for folder in (source, source / "splits"):
        if (folder / name).is_file():
            return folder / name
    raise not_laid_out(source, f"the list {name}, directly or in splits/")


def _read_list(source: Path, split: str, domain: str, path: Path) -> Iterator[ImageEntry]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name, _, label = line.rstrip("\r\n").rpartition(" ")
            parts = name.split("/")
            # The path comes from a file that somebody else made: it may not lead elsewhere.
            if len(parts) != 3 or parts[0] != domain or ".." in parts or not label.isdecimal():
                raise InvalidDataset(
                    f"Line {number} of {path} should be '{domain}/CLASS/FILE LABEL' and is "
                    f"{shown(line.rstrip())}. Download the list again.",
                    code="not_this_layout",
                )
            image = source / name
            if not image.is_file():
                raise InvalidDataset(
                    f"Line {number} of {path} names {shown(name)}, and {source} has no such "
                    "file. Was the domain unpacked whole?",
                    code="missing_image",
                )
            yield ImageEntry(image, split, parts[1], parts[1])
