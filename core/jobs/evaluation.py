"""How a job is scored beyond its own splits: built-in shifts, baselines, named averages.

What is asked is checked against the splits that the job will have, so that nothing is left to
fail after hours of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InvalidSpec
from core.jobs.faults import Faults
from core.jobs.request import EvaluationRequest
from core.jobs.spec import id_split
from core.learning.effective_robustness import InsufficientBaselines, require_line
from core.learning.named_average import NamedAverage
from core.learning.shifts import PREFIX, expand_shift_names, is_shift_name
from core.validation import shown

SHIFTED_AVERAGE = "shifted"
CORRUPTIONS_AVERAGE = "corruptions"
_ID_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Evaluation:
    """What is scored and told, nothing left to a default."""

    corruptions: list[str]
    averages: dict[str, list[str]]


def resolve_evaluation(
    request: EvaluationRequest, splits: Sequence[str], faults: Faults | None = None
) -> Evaluation:
    """For a job with splits of these names. Raises InvalidSpec naming the choices, or leaves it
    with `faults`."""
    faults = faults or Faults()
    corruptions = faults.attempt(_corruptions, request, splits) or []
    shifted = [name for name in splits if name not in _ID_SPLITS]
    for name, baselines in request.baselines.items():
        faults.attempt(_check_baselines, name, baselines, [*shifted, *corruptions], splits)
    validation = ["val"] if "train" in splits and "val" not in splits else []
    scored = [name for name in splits if name != "train"] + validation + corruptions
    averages = {SHIFTED_AVERAGE: shifted, CORRUPTIONS_AVERAGE: corruptions}
    averages = {name: members for name, members in averages.items() if members}
    for name, members in request.averages.items():
        faults.attempt(_check_average, name, members, scored)
        averages[name] = list(members)
    return Evaluation(corruptions, averages)


def require_free_name(name: str, param: str) -> None:
    """Raises InvalidSpec for a user's split that is named like a built-in shift."""
    if is_shift_name(name):
        raise InvalidSpec(
            f"The split {shown(name)} is named like a built-in shift ({PREFIX}NAME.SEVERITY). Give "
            "it another name; built-in shifts are asked for with evaluation.corruptions.",
            code="reserved_split",
            param=param,
        )


def _corruptions(request: EvaluationRequest, splits: Sequence[str]) -> list[str]:
    if not request.corruptions:
        return []
    if id_split(splits) is None:
        raise InvalidSpec(
            f"evaluation.corruptions are made of the test split, or of val, and the job has "
            f"neither (its splits are {', '.join(splits)}). Add one, or leave them out.",
            code="no_id_split",
            param="evaluation.corruptions",
        )
    for number, name in enumerate(request.corruptions):
        try:
            expand_shift_names([name])
        except ValueError as error:
            raise InvalidSpec(
                f"evaluation.corruptions: {error}.",
                code="unknown_corruption",
                param=f"evaluation.corruptions.{number}",
            ) from error
    return expand_shift_names(request.corruptions)


def _check_baselines(
    name: str,
    baselines: Sequence[tuple[float, float]],
    shifted: Sequence[str],
    splits: Sequence[str],
) -> None:
    param = f"evaluation.baselines.{name}"
    if name not in shifted:
        has = f"they are {', '.join(shifted)}" if shifted else "it has none"
        raise InvalidSpec(
            f"{param} names no shifted split of the job; {has}.",
            code="unknown_split",
            param=param,
        )
    if id_split(splits) is None:
        raise InvalidSpec(
            f"{param} compares accuracy on {name} with that on test, or on val, and the job "
            f"has neither (its splits are {', '.join(splits)}). Add one, or leave it out.",
            code="no_id_split",
            param=param,
        )
    try:
        require_line(baselines)
    except ValueError as error:
        few = isinstance(error, InsufficientBaselines)
        raise InvalidSpec(
            f"{param}: {error}.",
            code="insufficient_baselines" if few else "invalid_baselines",
            param=param,
        ) from error


def _check_average(name: str, members: Sequence[str], scored: Sequence[str]) -> None:
    param = f"evaluation.averages.{name}"
    unknown = [member for member in members if member not in scored]
    if unknown:
        raise InvalidSpec(
            f"{param} names {shown(unknown[0])}, which the job does not score; it scores "
            f"{', '.join(scored)}.",
            code="unknown_split",
            param=param,
        )
    try:
        NamedAverage(name, tuple(members))
    except ValueError as error:
        raise InvalidSpec(f"{param}: {error}.", code="invalid_average", param=param) from error
