"""Numbers of a whole model rather than of one split: significance and effective robustness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.jobs.spec import JobSpec
from core.learning.effective_robustness import effective_robustness
from core.learning.metrics import Metric
from core.learning.report import RobustnessLine
from core.learning.shifts import is_shift_name
from core.learning.significance import Correct, mcnemar_over_splits

UNTESTED = ("val",)  # it chose the model, so a test on it would mean nothing


def right_answers(images: pa.Table) -> Correct:
    """Whether each image of a scored split was answered right."""
    predicted = pc.list_element(images["top_labels"], 0)
    return np.asarray(pc.equal(predicted, images["label"]))


def changes(
    correct: Mapping[str, Correct], correct0: Mapping[str, Correct]
) -> dict[str, list[Metric]]:
    """Of each tested split: the change of accuracy against zero-shot, and its p values.

    Built-in shifts are a family of tests of their own: asking for fifteen of them must not hide
    what happened on the splits that the user brought.
    """
    tested = [split for split in correct if split not in UNTESTED]
    natural = [split for split in tested if not is_shift_name(split)]
    built_in = [split for split in tested if is_shift_name(split)]
    found = {}
    for family in (natural, built_in):
        if not family:
            continue
        after, before = ({s: side[s] for s in family} for side in (correct, correct0))
        for split, test in mcnemar_over_splits(after, before).items():
            found[split] = [
                Metric("accuracy_change", test.difference, test.low, test.high, test.n),
                Metric("mcnemar_p", test.p, None, None, test.n),
                Metric("mcnemar_p_holm", test.p_holm, None, None, test.n),
            ]
    return found


def robustness_lines(
    spec: JobSpec, model: str, seed: int, correct: Mapping[str, Correct]
) -> list[RobustnessLine]:
    """The model's effective robustness on each split that the job has baselines for."""
    found = []
    for split, baselines in spec.baselines.items():
        id_accuracy = float(correct[spec.id_split or "test"].mean())
        fit = effective_robustness(baselines, id_accuracy, float(correct[split].mean()))
        found.append(RobustnessLine(seed, model, split, id_accuracy, fit))
    return found
