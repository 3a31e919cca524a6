"""What every method says of itself, and the step of training it is given.

A method says its loss, what trains and, where its paper needs more, what happens before, between
and after the steps. The loop (`core.learning.trainer`) owns batches, precision, the optimiser,
the schedule and accumulation, and is the same for all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.learning.architecture import Architecture, ImageTower, TextTower
from core.learning.live_tensors import copy_into
from core.learning.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.models import Clip
    from core.learning.student import Student

Auto = Literal["auto"]
Kind = Literal["training", "combination", "evaluation"]
Part = Literal["image_tower", "text_tower", "logit_scale", "head", "added"]
"""A group of parameters. `added` is what a method brings itself, such as adapters."""


class Knobs(BaseModel):
    """Base of every method's knobs: closed, so that a misspelt name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Method(ABC):
    """One entry of the registry. Subclasses set the class attributes and are found by them."""

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Kind]
    description: ClassVar[str]  # one sentence: when to take it
    citation: ClassVar[str]
    Hyperparameters: ClassVar[type[Knobs]]

    # How many finished models it reads, fewest and most; None is any number.
    n_inputs: ClassVar[tuple[int, int | None]] = (0, 0)
    # What it stores: one model, or several that answer together.
    output: ClassVar[Literal["weights", "mixture"]] = "weights"

    @classmethod
    def misfit(cls, base: Architecture) -> str | None:
        """Why this method cannot run on such a base, as the end of a sentence; None if it can."""
        return None

    @classmethod
    def fits(cls) -> dict[str, list[str]]:
        """The kinds of tower this method can run on."""
        images: tuple[ImageTower, ...] = ("transformer", "resnet", "other")
        texts: tuple[TextTower, ...] = ("transformer", "other", "none")
        return {
            "image_tower": [t for t in images if not cls.misfit(Architecture(image_tower=t))],
            "text_tower": [t for t in texts if not cls.misfit(Architecture(text_tower=t))],
        }

    @classmethod
    def resolve(cls, hyperparameters: dict[str, Any], *, n_train: int) -> dict[str, Any]:
        """Validated hyperparameters with every "auto" replaced by a number.

        `n_train` is the number of training images. Raises `pydantic.ValidationError` naming
        each bad field and the value seen.
        """
        chosen = cls.Hyperparameters.model_validate(hyperparameters)
        return cls.Hyperparameters.model_validate(cls._replace_auto(chosen, n_train)).model_dump()

    @classmethod
    def _replace_auto(cls, chosen: Knobs, n_train: int) -> dict[str, Any]:
        return chosen.model_dump()


class TrainingHyperparameters(Knobs):
    """The recipe every training method shares. Defaults are Lipsum-FT's official settings."""

    learning_rate: Auto | Annotated[float, Field(gt=0, le=1)] = Field(
        "auto", description="Peak learning rate of AdamW. auto: the paper's."
    )
    batch_size: Auto | Annotated[int, Field(ge=1, le=65536)] = Field(
        "auto",
        description="Images per step. auto: 256, or a tenth of a small training set.",
    )
    n_epochs: Auto | Annotated[float, Field(gt=0)] = Field(
        "auto", description="Passes over the training images. auto: 10."
    )
    n_steps: Auto | Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        "auto", description="Steps; overrides n_epochs. auto: from n_epochs."
    )
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps over which the rate rises from zero."
    )
    warmup_steps: int | None = Field(
        None, ge=0, description="Steps of warm-up; overrides warmup_fraction."
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="Decoupled weight decay.")
    beta1: float = Field(0.9, ge=0, lt=1, description="Adam's first decay rate.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's second decay rate.")
    epsilon: float = Field(1e-8, gt=0, le=1, description="Adam's epsilon.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Label smoothing of the CE.")
    class_balance: Literal["none", "loss", "sampling"] = Field(
        "none",
        description="Rare classes count as much as frequent ones: by their weight in the CE, or "
        "by how often they are drawn.",
    )
    clip_norm: float | None = Field(
        None, gt=0, description="Global gradient norm above which gradients are scaled down."
    )
    crop_scale_min: float = Field(
        0.08, gt=0, le=1, description="Smallest area of a random crop, as a share of the image."
    )
    flip_probability: float = Field(
        0.5, ge=0, le=1, description="Probability of a horizontal flip."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="auto: bf16 autocast where the device does it well, else fp32."
    )
    micro_batch_size: Auto | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="Images per forward pass, halved where memory runs out; gradients are "
        "accumulated. auto: the whole batch.",
    )
    n_evaluations: int = Field(
        5, ge=1, le=1000, description="Evaluations on the validation split, evenly spread."
    )
    projection: Literal["none", "ftp", "spd"] = Field(
        "none",
        description="Keeps weights near the start after each update: ftp within learned radii, "
        "spd by pulling back what drifts. The head is left free.",
    )
    projection_strength: float = Field(
        1.0,
        ge=0,
        le=10,
        description="spd: lambda, 1 undoes all of a drift, 0 none. ftp: k, at most 1; the "
        "smaller, the slower radii shrink.",
    )

    @model_validator(mode="after")
    def _check_projection(self) -> Self:
        if self.projection == "ftp" and self.projection_strength > 1:
            raise ValueError(
                f"projection_strength is {self.projection_strength:g}; "
                "with ftp it must be at most 1"
            )
        return self


class TrainingMethod(Method):
    """A method that trains. The loop calls `attach` and `begin` once, then for each step
    `before_step`, `loss` (once a micro-batch) and `after_step`, and `finished_weights` whenever the
    model is scored or stored. What it remembers from step to step it names in `state`: a run that
    was interrupted goes on from there, and must not differ from one that was not.
    """

    kind: ClassVar[Kind] = "training"
    Hyperparameters: ClassVar[type[TrainingHyperparameters]]
    default_learning_rate: ClassVar[float] = 1e-5

    # Without "head" among them, the head is built from the text tower whenever one is needed.
    trains: ClassVar[frozenset[Part]] = frozenset({"image_tower", "head"})
    # Whether the step must carry the frozen zero-shot model.
    needs_theta0: ClassVar[bool] = False
    # Whether the base must be able to encode random texts.
    needs_random_texts: ClassVar[bool] = False
    # Whether the loss couples the images of a batch. Then it is computed over the whole batch,
    # whatever the micro-batches; otherwise it is a mean over images, or depends on none.
    couples_batch: ClassVar[bool] = False

    def __init__(self, hyperparameters: dict[str, Any]) -> None:
        self.hyperparameters = self.Hyperparameters.model_validate(hyperparameters)

    @classmethod
    def misfit(cls, base: Architecture) -> str | None:
        if "text_tower" in cls.trains and not base.has_text_tower:
            return "it trains the text tower, and this base has none"
        return None

    def attach(self, student: Student) -> None:
        """Once, while the model holds theta0: make teachers, add parameters, remember what the
        method keeps to.
        """

    def begin(self, student: Student) -> None:
        """Once, when the model holds what its first step begins from, which is theta0 unless the
        run continues another: an average that is handed over begins there.
        """

    def training_parts(self, step: int, schedule: Schedule) -> frozenset[Part]:
        """What this step updates; the rest gets no gradient."""
        return self.trains

    def learning_rate(self, part: Part, step: int, schedule: Schedule) -> float:
        """The rate of one part at a step."""
        return schedule.rate(step)

    def before_step(self, student: Student, step: int) -> None:
        """Before the forward pass of a step: draw what the step drops, for example."""

    @abstractmethod
    def loss(self, step: Step) -> Losses:
        """The loss of the images of `step`, and its named parts."""

    def after_step(self, student: Student, step: int) -> None:
        """After the update of a step: project the weights, move averages."""

    @abstractmethod
    def state(self, student: Student) -> dict[str, Tensor]:
        """The live tensors that steps change beside the parameters that train, by name: averages,
        teachers; nothing where there are none. What follows from theta0 or from the step's number
        does not belong here.
        """

    def restore(self, student: Student, stored: Mapping[str, Tensor]) -> None:
        """Put back what `state` had, after `attach`. Raises ValueError for other tensors."""
        copy_into(self.state(student), stored)

    def finished_weights(self, student: Student) -> dict[str, Tensor]:
        """What the model is to hold where it is scored or stored instead of what it holds in
        training, by the names of its state and "head"; it may change `student` until
        `resume_training` is called.
        """
        return {}

    def resume_training(self, student: Student) -> None:
        """The model holds its training weights again."""

    @classmethod
    def _replace_auto(cls, chosen: Knobs, n_train: int) -> dict[str, Any]:
        values = chosen.model_dump()
        if values["learning_rate"] == "auto":
            values["learning_rate"] = cls.default_learning_rate
        if values["batch_size"] == "auto":
            values["batch_size"] = max(1, min(256, n_train // 10))
        if values["n_epochs"] == "auto":
            values["n_epochs"] = 10.0
        if values["n_steps"] == "auto":
            steps = values["n_epochs"] * n_train / values["batch_size"]
            values["n_steps"] = max(1, math.ceil(steps))
        else:
            values["n_epochs"] = max(1e-9, values["n_steps"] * values["batch_size"] / n_train)
        if values["micro_batch_size"] == "auto":
            values["micro_batch_size"] = values["batch_size"]
        return values


class Losses(dict[str, "Tensor"]):
    """Scalars by name. "loss" is what is minimised; the rest is reported beside it."""


class Step(Protocol):
    """What a method sees of one step: a micro-batch of it, or all of it where the loss couples
    the batch. Shapes: B images, D features, K classes, M texts. Features are L2-normalised.
    """

    number: int  # counts from 0
    total: int
    labels: Tensor  # (B,) int64
    scale: float  # exp(logit_scale) of theta0, constant
    student: Student

    def image_features(self) -> Tensor:
        """The student's features (B, D), with gradient."""

    def frozen_image_features(self, model: Clip) -> Tensor:
        """Another model's features (B, D) of the same augmented pixels, no gradient."""

    def zero_shot_features(self) -> Tensor:
        """Theta0's features (B, D) of the same augmented pixels, no gradient."""

    def logits(self) -> Tensor:
        """The head's logits (B, K), scale * features @ W, with gradient."""

    def cross_entropy(self) -> Tensor:
        """Mean cross-entropy of `logits`, float32 scalar, smoothed and class-weighted as the
        recipe says."""

    def captions(self, templates: Sequence[str]) -> list[str]:
        """A caption for each image, its class in a template: drawn by (seed, step, position)."""

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """The student's features (M, D) of texts, with gradient; each distinct one encoded once."""

    def frozen_text_features(self, model: Clip, texts: Sequence[str]) -> Tensor:
        """Another model's features (M, D) of texts, no gradient."""

    def zero_shot_text_features(self, texts: Sequence[str]) -> Tensor:
        """Theta0's features (M, D) of texts, no gradient."""

    def random_text_features(self, n_texts: int, length: int) -> Tensor:
        """Theta0's features (M, D) of this step's random texts, no gradient."""
