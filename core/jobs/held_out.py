"""Which images are new to the models a job reads, where the job has no `val` of its own.

A slice of train is then held out, drawn with a seed. What is fitted to these images or scored on
them means something only if no model that takes part was trained on them, so the slice must be
the one that was held out when the models were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InvalidSpec
from core.jobs.lookup import Lookup
from core.jobs.spec import JobSpec, SplitReference
from core.learning.combine.base import Combination
from core.records.tables import Model


@dataclass(frozen=True)
class HeldOut:
    """The slice to cut off. `seed` is None where any will do."""

    seed: int | None = None
    conflict: str | None = None  # why no slice is new to every model, as the start of a sentence


def find_held_out(
    models: Sequence[Model], splits: Sequence[SplitReference], lookup: Lookup
) -> HeldOut:
    """The slice that all of the models leave alone."""
    by_name = {split.name: split for split in splits}
    train = by_name.get("train")
    if train is None or "val" in by_name:
        return HeldOut()
    seeds: dict[int, str] = {}
    for model in models:
        spec = None if model.job_id is None else lookup.spec_of(model.job_id)
        if spec is None or not _trained_on(spec, train):
            continue
        if spec.split("val") is not None or not spec.held_out_is_new:
            return HeldOut(spec.slice_seed, f"{model.id} was made from all of training_file")
        seeds.setdefault(spec.slice_seed, model.id)
    if len(seeds) < 2:
        return HeldOut(next(iter(seeds), None))
    (first, one), (second, other) = list(seeds.items())[:2]
    return HeldOut(
        first,
        f"{one} and {other} held out different slices of training_file (seeds {first} and "
        f"{second})",
    )


def require_new(held_out: HeldOut, combination: Combination) -> None:
    """Raises InvalidSpec where the combination would be fitted to images that were trained on."""
    if held_out.conflict is None or not combination.fits_validation:
        return
    raise InvalidSpec(
        f"{held_out.conflict}, so no slice of it is new to every model, and {combination.name} "
        "is fitted to validation images; give the validation_file that the models were chosen "
        "by, or make them in one job with n_seeds.",
        code="no_new_validation_images",
        param="validation_file",
    )


def _trained_on(spec: JobSpec, train: SplitReference) -> bool:
    own = spec.split("train")
    return own is not None and (own.version, own.archive_split) == (
        train.version,
        train.archive_split,
    )
