"""What a combination of finished models is, what it may ask for and what it hands back.

A combination says how models become one, or answer together. Whoever runs it (the worker's
`worker.pipeline.combining`, or a researcher's own script) loads models, knows the images and
scores and stores what comes back. Shapes: N images, D features, K classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from core.learning.merging import State
from core.learning.methods.base import Kind, Knobs, Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from core.learning.mixtures import Mixture
    from core.learning.models import Head

Loss = Callable[[State, int], "Tensor"]
"""(all weights by name, number of the batch) to a scalar, differentiable in the weights."""


class Combination(Method):
    """A method that makes one model, or a mixture, of finished ones."""

    kind: ClassVar[Kind] = "combination"

    hyperparameters: Knobs

    def __init__(self, hyperparameters: dict[str, Any]) -> None:
        self.hyperparameters = self.Hyperparameters.model_validate(hyperparameters)

    @property
    def fits_validation(self) -> bool:
        """Whether anything is fitted to, or chosen by, the ID validation images: these must then
        be new to every input."""
        return True

    def misfit_inputs(self, n_inputs: int) -> str | None:
        """Why these settings do not go with so many inputs, as a sentence; None if they do."""
        return None

    @abstractmethod
    def combine(self, material: Material) -> Merged | Mixed:
        """The result. Raises `core.learning.merging.CannotCombine` for models that do not go
        together."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A finished model. "head" is among its tensors where the head trained by itself."""

    name: str  # its id, for messages
    tensors: State
    head: Head


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model says of a set of images, on the CPU in float32."""

    features_ND: Tensor  # L2-normalised
    logits_NK: Tensor  # minus infinity in columns that the split does not hold
    labels_N: Tensor

    @property
    def predicted_N(self) -> Tensor:
        return self.logits_NK.argmax(dim=-1)


class Material(Protocol):
    """What a combination may ask for. No test or shifted image is among it."""

    @property
    def theta0(self) -> Candidate:
        """The zero-shot model, its tensors under the inputs' names."""

    @property
    def inputs(self) -> Sequence[Candidate]:
        """The models to combine, in the order given; over the same classes as theta0."""

    @property
    def device(self) -> torch.device:
        """Where models run; tensors of candidates lie on the CPU."""

    def on_validation(self, candidate: Candidate) -> Answers:
        """Answers for the ID validation images."""

    def on_training_images(self, candidate: Candidate) -> Answers:
        """Answers for the training images, under the validation transform: not augmented."""

    def validation_accuracy(self, state: State) -> float:
        """Accuracy of a merged state, 0 to 1, on the ID validation images (and on a split that
        the user has marked as one to select by)."""

    def validation_loss(self, batch_size: int, n_steps: int) -> Loss:
        """CE of the ID validation images of batch 0 to n_steps - 1, each drawn by (seed, number).
        Weights are given on `device`."""

    def fisher(self, candidate: Candidate) -> dict[str, Tensor]:
        """The diagonal Fisher information on training images, on the CPU, by name."""

    def note(self, message: str, **data: object) -> None:
        """One sentence about the result for whoever asked for it, numbers beside it."""

    def warn(self, message: str, **data: object) -> None:
        """The same, of what is not as it should be."""


@dataclass(frozen=True, eq=False)
class Merged:
    """One model. `head` is the state's own, or built from its text tower, when absent."""

    state: State
    head: Head | None = None
    name: str | None = None  # in the result table; the method's own when absent
    # Other states to score and not to store, by name: each is made when it is its turn.
    scored_beside: Mapping[str, Callable[[], State]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)  # kept with the model


@dataclass(frozen=True, eq=False)
class Mixed:
    """Models that answer together: the constants, and a model for each of the members' names."""

    mixture: Mixture
    members: Mapping[str, Candidate]
    metrics: Mapping[str, float] = field(default_factory=dict)
