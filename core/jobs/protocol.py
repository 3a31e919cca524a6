"""What a specification says of how its figures come about, for whoever shows them."""

from __future__ import annotations

from collections.abc import Iterable

from core.jobs.spec import JobSpec
from core.learning.methods import registry
from core.learning.named_average import NamedAverage
from core.learning.report import Protocol

ZERO_SHOT = "zero_shot"  # theta0's name in the rows of a job that makes a model


def protocol_of(spec: JobSpec) -> Protocol:
    """The job's protocol.

    A job that makes models chooses them with every split marked for selection. An evaluation
    chooses nothing. What chose a model that a job starts from stays with what is made of it.
    """
    method = registry().get(spec.method)
    marked = tuple(split.name for split in spec.splits if split.selection)
    parents = (spec.theta0, *spec.starts, *spec.inputs)
    evaluates = method is not None and method.kind == "evaluation"
    made = [] if evaluates else [*(model.selected_on for model in parents), marked]
    return Protocol(
        averages=tuple(NamedAverage(name, tuple(m)) for name, m in spec.averages.items()),
        selection_splits=marked,
        chosen_on={
            **{model.id: tuple(model.selected_on) for model in parents},
            ZERO_SHOT: tuple(spec.theta0.selected_on),
        },
        others_chosen_on=_together(made),
        id_split=spec.id_split,
    )


def _together(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for found in lists for name in found))
