"""How a job's figures came about, as far as a reader must know it to judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.learning.effective_robustness import EffectiveRobustness
from core.learning.named_average import NamedAverage
from core.learning.shifts import is_shift_name


@dataclass(frozen=True)
class Protocol:
    """Which splits chose which models, what built-in shifts are made of, which averages are told.

    Selection means the splits that the user marked for it. Every training chooses by `val` too,
    which is what `val` is for.
    """

    averages: tuple[NamedAverage, ...] = ()
    selection_splits: tuple[str, ...] = ()
    chosen_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Selection splits that chose a model, by its name in the rows."""
    others_chosen_on: tuple[str, ...] = ()  # of every other model
    id_split: str | None = None  # what built-in shifts are made of; the ID of effective robustness

    def chosen(self, model: str) -> tuple[str, ...]:
        """The selection splits that chose this model, or one that it was made from."""
        return tuple(self.chosen_on.get(model, self.others_chosen_on))

    def used(self, split: str) -> bool:
        """Whether the split's images were used for selection."""
        source = self.id_split if is_shift_name(split) else split
        return source in self.selection_splits

    def touched(self, model: str, split: str) -> bool:
        """Whether selection touched this figure: it is of such a split, or of a chosen model."""
        return self.used(split) or bool(self.chosen(model))

    def split_label(self, split: str) -> str:
        return f"{split} (selection)" if self.used(split) else split

    def model_label(self, model: str) -> str:
        chosen = self.chosen(model)
        return f"{model} (selected on {', '.join(chosen)})" if chosen else model

    def average_label(self, average: NamedAverage) -> str:
        touched = any(self.used(split) for split in average.members)
        return f"{average.name} (selection)" if touched else average.name


@dataclass(frozen=True)
class RobustnessLine:
    """A model's effective robustness on a split, and the line it was measured against."""

    seed: int
    model: str
    split: str
    id_accuracy: float
    fit: EffectiveRobustness
