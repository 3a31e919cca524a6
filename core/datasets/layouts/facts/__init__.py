"""What is known of ImageNet's classes: facts in text files, read when they are asked for.

- `imagenet.tsv`: the 1000 WordNet ids of ILSVRC 2012 in their sorted order, which is the order of
  class indices everywhere, each with the readable name that OpenAI's zero-shot heads use
  (`open_clip.IMAGENET_CLASSNAMES`; two names occur twice: missile and sunglasses).
- `imagenet_r.txt`, `imagenet_a.txt`: the 200 classes of ImageNet-R and of ImageNet-A
  (Hendrycks et al. 2021, both); 86 are in both.
- `objectnet.tsv`: the 313 class folders of ObjectNet (Barbu et al. 2019), each with the ImageNet
  classes that its authors' mapping gives it: none for 200, one for 104, several for 9.
- `templates.txt`: OpenAI's 80 templates for ImageNet (`open_clip.OPENAI_IMAGENET_TEMPLATES`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent


@cache
def imagenet_names() -> MappingProxyType[str, str]:
    """WordNet id -> readable name, in the order of class indices."""
    return MappingProxyType(_table("imagenet.tsv"))


@cache
def imagenet_r_classes() -> frozenset[str]:
    """The 200 WordNet ids of ImageNet-R."""
    return frozenset(_lines("imagenet_r.txt"))


@cache
def imagenet_a_classes() -> frozenset[str]:
    """The 200 WordNet ids of ImageNet-A."""
    return frozenset(_lines("imagenet_a.txt"))


@cache
def objectnet_to_imagenet() -> MappingProxyType[str, tuple[str, ...]]:
    """ObjectNet's class folder -> the WordNet ids it stands for, possibly none."""
    table = _table("objectnet.tsv")
    return MappingProxyType({folder: tuple(wnids.split()) for folder, wnids in table.items()})


@cache
def openai_templates() -> tuple[str, ...]:
    """The 80 templates, `{}` where the class name goes."""
    return tuple(_lines("templates.txt"))


def _table(name: str) -> dict[str, str]:
    """A file of two columns, separated by a tab."""
    rows = (line.partition("\t") for line in _lines(name))
    return {first: second for first, _, second in rows}


def _lines(name: str) -> list[str]:
    return (_FOLDER / name).read_text(encoding="utf-8").splitlines()
