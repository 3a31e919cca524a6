"""The model in training: its weights by part, and frozen copies of it.

Names of weights are those of the model's own state, `visual.` for the image tower, and "head".
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.learning.methods.base import Part
from core.learning.models import Clip, Head
from core.learning.zero_shot import build_context_head, build_head

HEAD = "head"
_SCALES = ("logit_scale", "logit_bias")


@dataclass(frozen=True)
class Start:
    """Weights that training begins from in place of theta0's."""

    weights: Mapping[str, Tensor]  # by the names of the model's state
    head: Tensor | None  # (D, K), of the same classes as theta0's; None where no head trains


class Student:
    """A model whose chosen parts train; everything else is frozen, in evaluation mode.

    It holds theta0 until `begin`, so that whatever is made before refers to theta0.
    """

    def __init__(
        self,
        clip: Clip,
        head: Head,
        trains: Iterable[Part],
        seed: int,
        start: Start | None = None,
    ) -> None:
        self.clip = clip
        self.trains = frozenset(trains)
        self.seed = seed
        self.start = head
        self.zero_shot_head = head.weight.detach().clone().to(clip.device)  # (D, K)
        self.head = nn.Parameter(self.zero_shot_head.clone(), requires_grad="head" in self.trains)
        self.added: dict[str, nn.Parameter] = {}
        self._begins_from = start
        self._moved = frozenset() if start is None else self._differing(start)
        clip.model.eval().requires_grad_(False)
        for name, parameter in clip.model.named_parameters():
            parameter.requires_grad_(part_of(name) in self.trains)

    @property
    def builds_head(self) -> bool:
        """Whether the head follows from the text tower instead of training by itself."""
        return "head" not in self.trains

    def logit_scale(self) -> Tensor:
        """exp(logit_scale) as it is now, scalar, with gradient where it trains."""
        scale: Tensor = self.clip.model.logit_scale  # type: ignore[assignment]
        return scale.exp()

    def parameters(self) -> dict[Part, dict[str, nn.Parameter]]:
        """What trains, by part and name, in the model's own order."""
        found: dict[Part, dict[str, nn.Parameter]] = {}
        for name, parameter in self.clip.model.named_parameters():
            if part_of(name) in self.trains:
                found.setdefault(part_of(name), {})[name] = parameter
        if "head" in self.trains:
            found["head"] = {HEAD: self.head}
        if self.added:
            found["added"] = dict(self.added)
        return found

    def trained(self) -> dict[str, nn.Parameter]:
        """What trains, by name."""
        return {name: p for group in self.parameters().values() for name, p in group.items()}

    def tensors(self) -> dict[str, Tensor]:
        """The live tensors of the model's state, and the head: what can be loaded and stored."""
        return {**self.clip.model.state_dict(), HEAD: self.head.detach()}

    def changing(self) -> dict[str, Tensor]:
        """Of `tensors`, those that may come to differ from theta0's: of parts that train, and what
        training begins from; with added parameters, all of both towers."""
        if self.added:
            return self.tensors()
        return {name: t for name, t in self.tensors().items() if self._changes(name)}

    def begin(self) -> None:
        """Hold the weights that training begins from, where they are others than theta0's."""
        start = self._begins_from
        if start is None:
            return
        self.put({name: start.weights[name] for name in self._moved})
        if start.head is not None and "head" in self.trains:
            self.put({HEAD: start.head})
        self._begins_from = None  # what is read from a file need not be held any longer

    def frozen_copy(self) -> Clip:
        """The model as it is now, for a teacher. What never changes is shared with it."""
        shared = {
            id(parameter): parameter
            for name, parameter in self.clip.model.named_parameters()
            if not self._changes(name)
        }
        model = copy.deepcopy(self.clip.model, shared)
        for name, parameter in model.named_parameters():
            if part_of(name) in self.trains:
                parameter.requires_grad_(False)
        return Clip(model, self.clip.tokenizer, self.clip.config, self.clip.tokenizer_files)

    def put(self, weights: dict[str, Tensor]) -> None:
        """Copy values into the live tensors of those names. Raises KeyError for an unknown one."""
        live = self.tensors()
        with torch.no_grad():
            for name, value in weights.items():
                live[name].copy_(value)

    def built_head(self) -> Tensor:
        """The head (D, K) that the present text tower gives these classes and templates."""
        return build_head(self.clip, self.start.classes, self.start.templates)

    def context_head(self) -> Tensor:
        """One direction (D, M) for each template, whatever the class."""
        return build_context_head(self.clip, self.start.classes, self.start.templates)

    def _changes(self, name: str) -> bool:
        return part_of(name) in self.trains or name in self._moved

    def _differing(self, start: Start) -> frozenset[str]:
        """What `begin` will change. A logit scale that does not train stays theta0's: it is the
        constant in every loss."""
        live = self.clip.model.state_dict()
        return frozenset(
            name
            for name, tensor in live.items()
            if (part_of(name) != "logit_scale" or "logit_scale" in self.trains)
            and not tensor.equal(start.weights[name].to(tensor))
        )


def part_of(name: str) -> Part:
    """Which part a name of the model's state belongs to."""
    if name == HEAD:
        return "head"
    if name.startswith("visual."):
        return "image_tower"
    return "logit_scale" if name in _SCALES else "text_tower"
