"""Scoring existing models as they are: the combination that combines nothing.

For shifted sets that arrive after a job has finished. `inputs` are model ids, base or
fine-tuned; every split of the job is scored for each.
"""

from __future__ import annotations

from core.learning.methods.base import Knobs, Method


class Evaluate(Method):
    name = "evaluate"
    title = "Evaluation"
    kind = "evaluation"
    description = "Scores existing models on splits that arrived later; trains nothing."
    citation = "Metrics: top-1, NLL, ECE with 15 equal-width bins (Guo et al., ICML 2017)"
    Hyperparameters = Knobs
    n_inputs = (0, None)
