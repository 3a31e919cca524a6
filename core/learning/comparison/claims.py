"""Which differences are more than chance: bootstraps between methods, McNemar against zero-shot.

Zero-shot has no training seed; it stands beside every seed of a contender with the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.learning.comparison.contender import Entrant, Field
from core.learning.comparison.document import (
    PLAIN_FT,
    SIGNIFICANCE,
    ZERO_SHOT,
    Change,
    Claim,
    Scope,
    SeedChange,
    SplitFacts,
)
from core.learning.comparison.stored import NotComparable
from core.learning.significance import (
    holm,
    mcnemar_over_splits,
    paired_bootstrap,
)

BOOTSTRAP_SEED = 0


def claims_about(
    field: Field, take: str, scopes: Mapping[Scope, tuple[str, ...]]
) -> tuple[Claim, ...]:
    """Every contender against the recommended one, zero-shot and plain fine-tuning, by scope.

    Holm's correction is over the contenders set against one reference in one scope.
    Raises NotComparable when two contenders share no seed.
    """
    references = dict.fromkeys([take, *([PLAIN_FT] if PLAIN_FT in field.entrants else [])])
    if field.zero_shot is not None:
        references[ZERO_SHOT] = None
    found: list[Claim] = []
    for against in references:
        for scope, splits in scopes.items():
            claims = {
                name: _claim(field, name, against, scope, splits)
                for name in field.entrants
                if name != against
            }
            corrected = holm({name: claim.p for name, claim in claims.items()})
            found += [
                claim.model_copy(update={"p_holm": corrected[name]})
                for name, claim in claims.items()
            ]
    return tuple(found)


def accuracy_interval(entrant: Entrant, splits: Sequence[str]) -> tuple[float, float]:
    """Of mean accuracy over splits: a bootstrap over seeds and images against no right answer."""
    correct = {split: _stack(entrant, list(entrant.runs), split) for split in splits}
    nothing = {split: np.zeros_like(answers) for split, answers in correct.items()}
    found = paired_bootstrap(correct, nothing, BOOTSTRAP_SEED)
    return found.low, found.high


def changes_from_zero_shot(
    entrant: Entrant, zero_shot: Entrant | None, splits: Sequence[SplitFacts]
) -> tuple[Change, ...]:
    """Each split's change, tested seed by seed: seeds share images and cannot be pooled."""
    if zero_shot is None:
        return ()
    before = next(iter(zero_shot.runs.values())).correct
    tests: dict[str, dict[int, SeedChange]] = {}
    for kinds in (("id", "shifted"), ("corruption",)):
        family = [split.name for split in splits if split.kind in kinds]
        for seed, run in entrant.runs.items():
            if family:
                after = {split: run.correct[split] for split in family}
                paired = mcnemar_over_splits(after, {split: before[split] for split in family})
                for split, test in paired.items():
                    change = SeedChange(difference=test.difference, p_holm=test.p_holm)
                    tests.setdefault(split, {})[seed] = change
    return tuple(_change(split.name, tests[split.name]) for split in splits)


def _claim(field: Field, name: str, against: str, scope: Scope, splits: Sequence[str]) -> Claim:
    contender = field.entrants[name]
    seeds = list(contender.runs)
    if against == ZERO_SHOT:
        assert field.zero_shot is not None
        first = next(iter(field.zero_shot.runs))
        other, other_seeds = field.zero_shot, [first] * len(seeds)
    else:
        other = field.entrants[against]
        seeds = [seed for seed in seeds if seed in other.runs]
        other_seeds = seeds
    if not seeds:
        raise NotComparable(
            f"{name} has seeds {_listed(contender)} and {against} {_listed(other)}; runs are "
            "paired by seed, so give both at least one in common"
        )
    found = paired_bootstrap(
        {split: _stack(contender, seeds, split) for split in splits},
        {split: _stack(other, other_seeds, split) for split in splits},
        BOOTSTRAP_SEED,
    )
    return Claim(
        contender=name,
        against=against,
        scope=scope,
        n_seeds=found.n_seeds,
        n=found.n,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=found.p,
        p_holm=found.p,
    )


def _stack(entrant: Entrant, seeds: Sequence[int], split: str) -> NDArray[np.bool_]:
    """Right or wrong, (S, N)."""
    return np.stack([entrant.runs[seed].correct[split] for seed in seeds])


def _change(split: str, by_seed: dict[int, SeedChange]) -> Change:
    significant = [test for test in by_seed.values() if test.p_holm < SIGNIFICANCE]
    return Change(
        split=split,
        difference=sum(test.difference for test in by_seed.values()) / len(by_seed),
        by_seed=by_seed,
        worse_in=sum(test.difference < 0 for test in significant),
        better_in=sum(test.difference > 0 for test in significant),
    )


def _listed(entrant: Entrant) -> str:
    return ", ".join(map(str, entrant.runs))
