"""ObjectNet: 313 folders of objects in odd places, 113 of which are things ImageNet knows.

104 of the 113 are one ImageNet class each. An image of such a class becomes an image of that
ImageNet class, under its WordNet id, without its border of two pixels, so that a head trained on
ImageNet is scored on it as it stands.

The other nine are several ImageNet classes each (a chair is a barber chair, a folding chair or a
rocking chair), and the usual protocol calls an answer right when it is any of them. Here a class
of a split is one column of the head: whichever of the several an image were filed under, right
answers would count as wrong. They are therefore not converted, and with them gone, and the
choice narrowed to 104, the accuracy is not the one that papers call ObjectNet's. The split is
called objectnet-104 so that nobody takes it for that. The 200 folders that ImageNet does not
know are left out, as always.
Source: Barbu et al., "ObjectNet", NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.datasets.layouts.entry import (
    ImageEntry,
    KnownLayout,
    class_folders,
    images_in,
    not_laid_out,
)
from core.datasets.layouts.facts import imagenet_names, objectnet_to_imagenet
from core.errors import InvalidDataset

_EXPECTED = "images/ with ObjectNet's class folders (air_freshener/ ...)"
_BORDER = 2  # pixels; one is red, and the second is what common evaluations crop as well


def read_objectnet_104(source: Path) -> Iterator[ImageEntry]:
    """The folders that are one ImageNet class, under its WordNet id."""
    parent = _images(source)
    classes = objectnet_to_imagenet()
    names = imagenet_names()
    folders = class_folders(parent, classes, looks_for=_EXPECTED)
    for folder in sorted(
        (folder for folder in folders if len(classes[folder.name]) == 1),
        key=lambda folder: classes[folder.name],
    ):
        (wnid,) = classes[folder.name]
        for path in images_in(folder):
            yield ImageEntry(path, "objectnet-104", wnid, names[wnid])


def read_objectnet(source: Path) -> Iterator[ImageEntry]:
    """Raises InvalidDataset: ObjectNet as papers score it cannot be said in class folders."""
    merged = [name for name, wnids in objectnet_to_imagenet().items() if len(wnids) > 1]
    raise InvalidDataset(
        f"ObjectNet's classes {', '.join(merged)} are several ImageNet classes each, and a "
        "class of a split is one class of train here, so its published accuracy cannot be "
        "reproduced. The layout objectnet-104 takes the 104 classes that are one ImageNet class "
        "each, as a split of that name.",
        code="merged_classes",
    )


LAYOUTS = (
    KnownLayout("objectnet", _EXPECTED, 113, read_objectnet, _BORDER),
    KnownLayout("objectnet-104", _EXPECTED, 104, read_objectnet_104, _BORDER),
)


def _images(source: Path) -> Path:
    for parent in (source / "images", source / "objectnet-1.0" / "images"):
        if parent.is_dir():
            return parent
    raise not_laid_out(source, _EXPECTED)
