"""What must be said beside the figures, as sentences: the same in a card and in `results.json`."""

from __future__ import annotations

from collections.abc import Sequence

from core.learning.report.protocol import Protocol, RobustnessLine
from core.learning.report.rows import ResultRow, corruption_splits


def notes(
    rows: Sequence[ResultRow], protocol: Protocol, lines: Sequence[RobustnessLine]
) -> list[str]:
    """Sentences that these rows need, in the order a reader meets what they are about."""
    return [
        *_of_selection(protocol),
        *_of_validation(rows),
        *_of_significance(rows),
        *_of_corruptions(rows, protocol),
        *_of_robustness(lines, protocol),
    ]


def _of_selection(protocol: Protocol) -> list[str]:
    inherited = sorted(
        {
            split
            for chosen in (*protocol.chosen_on.values(), protocol.others_chosen_on)
            for split in chosen
        }
        - set(protocol.selection_splits)
    )
    found = [
        f"{split} was used for selection. Its own figures, averages with it, and every figure of "
        "a model chosen with it are optimistic."
        for split in protocol.selection_splits
    ]
    return found + [
        f"{split} was used for selection in an earlier job; every figure of a model chosen with "
        "it is optimistic."
        for split in inherited
    ]


def _of_validation(rows: Sequence[ResultRow]) -> list[str]:
    if not any(row.split == "val" for row in rows):
        return []
    return [
        "val is the ID validation split: training chooses checkpoints by it and every temperature "
        "is fitted on it, so its figures are optimistic. Calibrated ones would be in-sample there "
        "and are left out."
    ]


def _of_significance(rows: Sequence[ResultRow]) -> list[str]:
    tested = dict.fromkeys(row.split for row in rows if row.metric == "mcnemar_p_holm")
    if not tested:
        return []
    built_in = corruption_splits(row for row in rows if row.split in tested)
    natural = [split for split in tested if split not in built_in]
    families = [", ".join(natural)] if natural else []
    if built_in:
        families.append(f"the built-in corruptions ({len(built_in)})")
    apart = " and, apart from these, over " if len(families) > 1 else ""
    return [
        "Changes are against zero_shot on the same images. p is McNemar's exact test, corrected "
        f"by Holm, for each model, over {apart.join(families)}."
    ]


def _of_corruptions(rows: Sequence[ResultRow], protocol: Protocol) -> list[str]:
    if not corruption_splits(rows):
        return []
    source = protocol.id_split or "test"
    chose = ", by whose labels checkpoints were chosen" if source == "val" else ""
    return [
        f"Built-in corruptions are made of {source}{chose}. They compare models with one another "
        "here and are not ImageNet-C results."
    ]


def _of_robustness(lines: Sequence[RobustnessLine], protocol: Protocol) -> list[str]:
    if not lines:
        return []
    outside = [
        f"Effective robustness of {line.model} (seed {line.seed}) on {line.split} is "
        f"extrapolated: its ID accuracy, {100 * line.id_accuracy:.1f} %, lies outside the "
        f"baselines' {100 * line.fit.id_low:.1f} to {100 * line.fit.id_high:.1f} %."
        for line in lines
        if line.fit.extrapolated
    ]
    return [
        "Effective robustness is the shifted accuracy above a line through the given baselines, "
        f"on logit axes; the ID accuracy is that on {protocol.id_split or 'test'}.",
        *outside,
    ]
