"""A model's tensors as one mapping, which is what combinations merge.

Names are those of the model's own state; a head that trained by itself goes with them as "head".
A head that was built from the text tower does not: whatever the text tower becomes, the head is
built again from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from core.learning.models import WEIGHTS_FILE, Clip, Head
from core.learning.student import HEAD
from core.learning.zero_shot import build_head


def tensors_of(clip: Clip, head: Head) -> dict[str, Tensor]:
    """Copies of the model's tensors on the CPU, and the head's if it stands by itself."""
    state = {name: t.detach().cpu().clone() for name, t in clip.model.state_dict().items()}
    return state if head.from_text else {**state, HEAD: head.weight.detach().cpu().clone()}


class StoredTensors(Mapping[str, Tensor]):
    """What `tensors_of` would give of a model that we stored, each tensor read when asked for.
    Without a `head` the towers alone."""

    def __init__(self, directory: Path, head: Head | None = None) -> None:
        file: Any = safe_open(directory / WEIGHTS_FILE, framework="pt")
        self._file, self._names = file, dict.fromkeys(file.keys())
        self._head = {} if head is None or head.from_text else {HEAD: head.weight}

    def __getitem__(self, name: str) -> Tensor:
        if name in self._head:
            return self._head[name]
        if name not in self._names:
            raise KeyError(name)
        tensor: Tensor = self._file.get_tensor(name)
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._names or name in self._head

    def __iter__(self) -> Iterator[str]:
        return iter([*self._names, *self._head])

    def __len__(self) -> int:
        return len(self._names) + len(self._head)


def put_tensors(clip: Clip, tensors: Mapping[str, Tensor]) -> None:
    """Copy values into the model. Raises KeyError for a name it does not have."""
    live = clip.model.state_dict()
    with torch.no_grad():
        for name, value in tensors.items():
            if name != HEAD:
                live[name].copy_(value)


def head_for(clip: Clip, tensors: Mapping[str, Tensor], like: Head) -> Head:
    """The head that goes with `tensors`, which the model holds: theirs, or built from the text
    tower where `like` was. Classes, templates and temperature are `like`'s."""
    if not like.from_text:
        return replace(like, weight=tensors[HEAD].detach().cpu())
    weight = build_head(clip, like.classes, like.templates).cpu()
    return replace(like, weight=weight, scale=clip.scale / like.temperature)
