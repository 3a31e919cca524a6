"""What a world is: pictures, captions and groups as functions of where they stand, and an archive.

Pictures and captions are functions of (seed, domain, split, label, index), so a set needs no
storing, and two splits never share a draw.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from core.demo.world import IMAGE_SIZE, SPLITS, Split

__all__ = ["SPLITS", "Split", "World"]

GROUPS_FILE = "groups.csv"
"""At the top of a grouped world's archive: columns `file` (the name in the archive) and `group`."""

_ZIP_TIME = (2020, 1, 1, 0, 0, 0)
_JPEG_QUALITY = 92


class World(ABC):
    """Classes drawn in several domains; a subclass states the attributes and draws."""

    name: str
    """One lower-case word; also the key of the world's random streams."""

    classes: tuple[str, ...]
    """In label order, which is the folders' order; words, as captions say them."""

    domains: tuple[str, ...]
    """The in-distribution domain first; the others name their folders in the archive."""

    manners: tuple[str, ...]
    """What captions can name of how or where a picture is made: the domains, or the places."""

    templates: tuple[str, ...]
    """Zero-shot prompts, each with one `{}`."""

    web_per_class: dict[str, int]
    """Pictures of each class in each domain of the base's web; a domain may be left out."""

    sources: tuple[ModuleType, ...]
    """The modules that decide how this world looks: drawn pictures are kept until one changes."""

    image_size: int = IMAGE_SIZE
    """Pixels a side, which is also what the base takes."""

    @property
    def shifted(self) -> tuple[str, ...]:
        """The domains a model fine-tuned on the first never sees."""
        return self.domains[1:]

    @abstractmethod
    def render(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> Image.Image:
        """Picture `index` of class `label`: the same pixels for the same arguments, anywhere."""

    @abstractmethod
    def caption(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> tuple[str, bool]:
        """The sentence beside that picture, and whether it names the picture's manner."""

    def manner(self, domain: str, split: Split, label: int, index: int, *, seed: int = 0) -> str:
        """The one of `manners` that a caption of the picture names, if it names one.

        In pre-training such a caption matches the pictures of its class and manner alone, where a
        plain one matches its class in every manner.
        """
        return domain

    def groups(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> str | None:
        """The picture's group, for accuracy by group; None in a world without groups."""
        return None

    def write_archive(
        self,
        path: Path,
        *,
        seed: int = 0,
        train_per_class: int = 120,
        test_per_class: int = 80,
        val_per_class: int = 0,
    ) -> None:
        """Write the user's data as a ZIP: train, val if asked, test, one folder a shifted domain.

        A grouped world's archive also holds `groups.csv`. The bytes are a function of the arguments
        alone: fixed times, fixed order. All pictures are JPEG, so no split has a codec of its own.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        first = self.domains[0]
        folders: list[tuple[str, str, Split, int]] = [
            ("train", first, "train", train_per_class),
            ("val", first, "val", val_per_class),
            ("test", first, "test", test_per_class),
            *((domain, domain, "test", test_per_class) for domain in self.shifted),
        ]
        groups: list[tuple[str, str]] = []
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for folder, domain, split, per_class in folders:
                for label, name in enumerate(self.classes):
                    for index in range(per_class):
                        file = f"{folder}/{name}/{index:05d}.jpg"
                        image = self.render(domain, split, label, index, seed=seed)
                        archive.writestr(_entry(file), _jpeg(image))
                        group = self.groups(domain, split, label, index, seed=seed)
                        if group is not None:
                            groups.append((file, group))
            if groups:
                archive.writestr(_entry(GROUPS_FILE), _groups_csv(groups))

    def generator(
        self, domain: str, split: Split, label: int, index: int, *rest: int, seed: int
    ) -> np.random.Generator:
        """Numbers of that picture's own; each value of `rest` gives another, unrelated stream.

        Raises ValueError for a domain, split or label that the world does not have.
        """
        if domain not in self.domains:
            raise ValueError(f"unknown domain {domain!r}; choose one of {', '.join(self.domains)}")
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
        if not 0 <= label < len(self.classes):
            raise ValueError(f"there is no class {label}; labels are 0 to {len(self.classes) - 1}")
        world = zlib.crc32(self.name.encode())
        where = (self.domains.index(domain), SPLITS.index(split), label, index)
        return np.random.default_rng([seed, world, *where, *rest])


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _groups_csv(groups: list[tuple[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "group"))
    writer.writerows(groups)
    return text.getvalue()
