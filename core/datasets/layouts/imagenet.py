"""ImageNet and its shifted sets: class folders named by WordNet id, V2's by class index.

Class keys are WordNet ids: sorted, they stand in the order of ImageNet's class indices. The
validation set, which every paper reports, is the split `test`; a slice of train is what the
service chooses checkpoints by. Each shifted set is a split of its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.datasets.layout import is_image
from core.datasets.layouts.entry import (
    ImageEntry,
    KnownLayout,
    class_folders,
    images_in,
    not_laid_out,
    require_folders,
)
from core.datasets.layouts.facts import imagenet_a_classes, imagenet_names, imagenet_r_classes
from core.errors import InvalidDataset

_SPLITS = {"train": "train", "val": "test"}
_IMAGENET = "train/ and val/, each with a folder for each class (n01440764/ ...)"
_V2 = "folders named by class index, 0/ to 999/"
_R = "folders of ImageNet-R's 200 classes (n01443537/ ...)"
_A = "folders of ImageNet-A's 200 classes (n01498041/ ...)"
_SKETCH = "folders of ImageNet's 1000 classes (n01440764/ ...)"


def read_imagenet(source: Path) -> Iterator[ImageEntry]:
    """`train/n*/*.JPEG` as train and `val/n*/*.JPEG` as test."""
    require_folders(source, _SPLITS, _IMAGENET)
    _require_sorted_validation_set(source / "val")
    for folder, split in _SPLITS.items():
        yield from _read_classes(source / folder, split, _every_class(), _IMAGENET)


def read_imagenet_v2(source: Path) -> Iterator[ImageEntry]:
    """Folders `0` to `999`: numbers, though a listing by name puts 10 before 2."""
    keys = {str(index): wnid for index, wnid in enumerate(imagenet_names())}
    parent = _unpacked(source, "imagenetv2-matched-frequency-format-val", _V2)
    yield from _read_classes(parent, "imagenet-v2", keys, _V2)


def read_imagenet_r(source: Path) -> Iterator[ImageEntry]:
    """The 200 class folders of renditions; a tree with another class is refused."""
    keys = {wnid: wnid for wnid in imagenet_r_classes()}
    yield from _read_classes(_unpacked(source, "imagenet-r", _R), "imagenet-r", keys, _R)


def read_imagenet_a(source: Path) -> Iterator[ImageEntry]:
    """The 200 class folders of adversarially filtered photographs; likewise."""
    keys = {wnid: wnid for wnid in imagenet_a_classes()}
    yield from _read_classes(_unpacked(source, "imagenet-a", _A), "imagenet-a", keys, _A)


def read_imagenet_sketch(source: Path) -> Iterator[ImageEntry]:
    """`sketch/n*/*.JPEG`, all 1000 classes."""
    parent = _unpacked(source, "sketch", _SKETCH)
    yield from _read_classes(parent, "imagenet-sketch", _every_class(), _SKETCH)


LAYOUTS = (
    KnownLayout("imagenet", _IMAGENET, 1000, read_imagenet),
    KnownLayout("imagenet-v2", _V2, 1000, read_imagenet_v2),
    KnownLayout("imagenet-r", _R, 200, read_imagenet_r),
    KnownLayout("imagenet-a", _A, 200, read_imagenet_a),
    KnownLayout("imagenet-sketch", _SKETCH, 1000, read_imagenet_sketch),
)


def _every_class() -> dict[str, str]:
    return {wnid: wnid for wnid in imagenet_names()}


def _unpacked(source: Path, usual: str, looks_for: str) -> Path:
    """The folder of classes: what was named, or the folder its archive makes inside it."""
    parent = source / usual if (source / usual).is_dir() else source
    if not parent.is_dir():
        raise not_laid_out(parent, looks_for)
    return parent


def _read_classes(
    parent: Path, split: str, keys: Mapping[str, str], looks_for: str
) -> Iterator[ImageEntry]:
    """The images of `parent`'s class folders; `keys` turns a folder's name into a WordNet id."""
    names = imagenet_names()
    for folder in class_folders(parent, keys, looks_for=looks_for):
        wnid = keys[folder.name]
        for path in images_in(folder):
            yield ImageEntry(path, split, wnid, names[wnid])


def _require_sorted_validation_set(val: Path) -> None:
    """As it is downloaded, all 50,000 images lie in one folder."""
    loose = next((path.name for path in val.iterdir() if is_image(path.name)), None)
    if loose is not None:
        raise InvalidDataset(
            f"{val} should hold a folder for each class, and holds images directly ({loose!r}). "
            "Sort them into class folders first, as torchvision.datasets.ImageNet does.",
            code="not_this_layout",
        )
