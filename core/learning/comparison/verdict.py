"""The findings as sentences: which contender to take, how sure that is, what speaks against it.

The rule: first by the measure within the ID band (`findings`). Another contender is behind when
its paired bootstrap against the first has a Holm-corrected p under SIGNIFICANCE; otherwise the
two are not told apart.
"""

from __future__ import annotations

import math

from core.learning.comparison.document import (
    ID_TOLERANCE,
    SELECTION_MARK,
    SIGNIFICANCE,
    ZERO_SHOT,
    Claim,
    Contender,
    Findings,
    Situation,
    Verdict,
)
from core.learning.comparison.wording import (
    counted,
    duration,
    interval,
    listed,
    mean_over,
    p_value,
    percent,
    points,
)

FEW_SEEDS = 5  # below it a bootstrap over seeds gives intervals that are too narrow
BAND = f"{100 * ID_TOLERANCE:g} points"


def judge(findings: Findings) -> Verdict:
    """What to take, and why not the others."""
    first = findings.contender(findings.ranking.within[0])
    situation = _situation(findings, first)
    take = first.name
    if situation == "zero_shot_better" and _zero_shot_keeps_id(findings, first):
        take = ZERO_SHOT
    return Verdict(
        situation=situation,
        take=take,
        headline=_headline(findings, first, situation),
        details=tuple(
            sentence
            for sentence in (
                _few_seeds(findings, first),
                _cost(findings, first),
                _better_outside(findings, first),
                _losses(findings, first),
                _selection(findings),
            )
            if sentence
        ),
        caveat=_caveat(findings),
    )


def _situation(findings: Findings, first: Contender) -> Situation:
    if findings.ranking.measure == "id":
        return "no_shift"
    if _gain(findings, first) <= 0:
        return "zero_shot_better"
    if len(findings.contenders) == 1:
        return "alone"
    if _n_seeds(findings, first) == 1:
        return "one_seed"
    return "tie" if _tied(findings, first) else "clear"


def _headline(findings: Findings, first: Contender, situation: Situation) -> str:
    if situation == "zero_shot_better":
        return f"{_not_beaten(findings, first)} {_sureness(findings, first)}"
    value = percent(findings.measured(first.figures).mean)
    against = findings.claim(first.name, ZERO_SHOT, findings.ranking.measure)
    gain = "" if against is None else f", {_against_zero_shot(against)}"
    return f"Take {first.label}: {value} % {_of(findings)}{gain}. {_sureness(findings, first)}"


def _not_beaten(findings: Findings, first: Contender) -> str:
    """Zero-shot has the better measure."""
    assert findings.zero_shot is not None
    measure = findings.ranking.measure
    claim = findings.claim(first.name, ZERO_SHOT, measure)
    assert claim is not None
    surely = "" if claim.p_holm < SIGNIFICANCE else ", a difference that may be chance"
    who = (
        "No contender"
        if not findings.ranking.outside
        else f"No contender within {BAND} of the best ID accuracy"
    )
    sentence = (
        f"{who} beats zero-shot {_of(findings)}: {first.label} comes nearest with "
        f"{percent(findings.measured(first.figures).mean)} % against "
        f"{percent(findings.measured(findings.zero_shot).mean)} %{surely}."
    )
    if _zero_shot_keeps_id(findings, first):
        return f"Keep zero-shot. {sentence}"
    id_gain = findings.claim(first.name, ZERO_SHOT, "id")
    assert id_gain is not None
    return (
        f"{sentence} Keep zero-shot where shifted images count; for ID accuracy take "
        f"{first.label} ({points(id_gain.difference)} points)."
    )


def _sureness(findings: Findings, first: Contender) -> str:
    rivals = _rivals(findings, first)
    if _n_seeds(findings, first) > 1:
        return f"{rivals[0].upper()}{rivals[1:]}."
    return (
        "One seed only, so the noise of training is unknown and another seed may change the "
        f"order; on these images {rivals}."
    )


def _rivals(findings: Findings, first: Contender) -> str:
    """How the first stands to the others in the ID band, as a clause."""
    if len(findings.contenders) == 1:
        return "it is the only contender, and nothing is said of other methods"
    behind = [findings.contender(name) for name in findings.ranking.within[1:]]
    if not behind:
        return f"no other contender comes within {BAND} of its ID accuracy"
    test = f"paired bootstrap over {counted(_n_seeds(findings, first), 'seed')} and the images"
    tied = _tied(findings, first)
    if not tied:
        worst = max(_claim_of(findings, rival, first).p_holm for rival in behind)
        who = behind[0].label if len(behind) == 1 else f"all {len(behind)} others"
        return (
            f"it is ahead of {who} within {BAND} of the best ID accuracy ({test}, Holm-corrected "
            f"p {'at most ' if len(behind) > 1 and worst >= 0.001 else ''}{p_value(worst)})"
        )
    least = min(_claim_of(findings, rival, first).p_holm for rival in tied)
    cheapest = min((first, *tied), key=_seconds)
    saving = "" if cheapest is first else f"; of these {cheapest.label} is the cheapest"
    return (
        f"it is not distinguishable from {listed([rival.label for rival in tied])} ({test}, "
        f"Holm-corrected p {'at least ' if len(tied) > 1 else ''}{p_value(least)}){saving}"
    )


def _few_seeds(findings: Findings, first: Contender) -> str:
    n_seeds = _n_seeds(findings, first)
    if not 1 < n_seeds < FEW_SEEDS:
        return ""
    return f"Intervals over {n_seeds} seeds come out too narrow, and p values too small."


def _cost(findings: Findings, first: Contender) -> str:
    best = findings.contender(findings.ranking.best_id)
    own, top = (findings.accuracy(each.figures, "id").mean for each in (first, best))
    if own == top:
        sentence = f"{first.label} has the best ID accuracy, {percent(own)} %"
    else:
        sentence = (
            f"On ID {first.label} has {percent(own)} %, {points(own - top)} points against the "
            f"best, {best.label}"
        )
    if first.seconds_per_seed is None:
        return f"{sentence}; its cost in seconds is unknown."
    relative = findings.relative_cost(first)
    times = "" if relative is None else f", {relative:.1f} times plain fine-tuning"
    return f"{sentence}; it took {duration(first.seconds_per_seed)} a seed{times}."


def _better_outside(findings: Findings, first: Contender) -> str:
    own = findings.measured(first.figures).mean
    best_id = findings.accuracy(findings.contender(findings.ranking.best_id).figures, "id").mean
    better = [
        rival
        for rival in map(findings.contender, findings.ranking.outside)
        if findings.measured(rival.figures).mean > own
    ]
    if not better:
        return ""
    said = [
        f"{rival.label} ({percent(findings.measured(rival.figures).mean)} % {_of(findings)}, "
        f"{points(findings.accuracy(rival.figures, 'id').mean - best_id)} points of ID accuracy)"
        for rival in better
    ]
    return f"Better on shifts but outside the ID band of {BAND}: {listed(said)}."


def _losses(findings: Findings, first: Contender) -> str:
    lost = [
        change
        for change in first.changes
        if change.difference < 0 and change.split in {s.name for s in findings.shifted}
    ]
    if not lost:
        return ""
    said = [
        f"{change.split} ({points(change.difference)}, {change.worse_in}/{len(change.by_seed)})"
        for change in sorted(lost, key=lambda change: change.difference)
    ]
    return (
        f"It is worse than zero-shot on {listed(said)}: in brackets points, and seeds in which "
        "the loss is significant."
    )


def _selection(findings: Findings) -> str:
    """What the mark of selection means here."""
    if findings.id_split.name == "val":
        return (
            f"{SELECTION_MARK} There is no test split: ID is val, by which checkpoints were "
            "chosen, so its figures are optimistic."
        )
    chose = [
        split.name for split in findings.splits if split.selection and split.kind != "corruption"
    ]
    touched = [c for c in findings.contenders if c.figures.chosen_on]
    if not chose and not touched:
        return ""
    splits = dict.fromkeys([*chose, *(name for c in touched for name in c.figures.chosen_on)])
    who = listed([contender.label for contender in touched])
    if len(touched) == len(findings.contenders):
        who = "every contender"
    models = f", and every figure of what was chosen with it ({who})" if touched else ""
    return (
        f"{SELECTION_MARK} {listed(list(splits))} was used for selection: its figures, averages "
        f"with it{models} are optimistic."
    )


def _caveat(findings: Findings) -> str:
    if findings.ranking.measure == "id":
        return (
            "No shifted split was scored: this ranks ID accuracy, made by looking at the labels of "
            f"{findings.id_split.name}, and says nothing of robustness."
        )
    kind = "shifted splits" if findings.ranking.measure == "shifted" else "corrupted splits"
    return (
        f"This choice was made by looking at the labels of the {kind}, so the winner's own figures "
        "there are a little too good, and another shift may order the contenders differently."
    )


def _of(findings: Findings) -> str:
    """What the measure is a mean of, after a number or a verb."""
    average = findings.average(findings.ranking.measure)
    if average is None:
        return f"on {findings.id_split.name} (ID)"
    said = mean_over(average)
    return f"on {said}" if len(average.members) == 1 else f"in the {said}"


def _against_zero_shot(claim: Claim) -> str:
    said = f"{points(claim.difference)} points against zero-shot"
    chance = "" if claim.p_holm < SIGNIFICANCE else ", which may be chance"
    return (
        f"{said}{chance} ({interval(claim.low, claim.high)}, "
        f"Holm-corrected p {p_value(claim.p_holm)})"
    )


def _gain(findings: Findings, first: Contender) -> float:
    """Of the measure over zero-shot; without a zero-shot model there is nothing to lose to."""
    if findings.zero_shot is None:
        return math.inf
    return findings.measured(first.figures).mean - findings.measured(findings.zero_shot).mean


def _zero_shot_keeps_id(findings: Findings, first: Contender) -> bool:
    assert findings.zero_shot is not None
    own = findings.accuracy(first.figures, "id").mean
    return own <= findings.accuracy(findings.zero_shot, "id").mean


def _tied(findings: Findings, first: Contender) -> list[Contender]:
    """Contenders in the band that are not surely behind, best first."""
    rivals = [findings.contender(name) for name in findings.ranking.within[1:]]
    return [rival for rival in rivals if _claim_of(findings, rival, first).p_holm >= SIGNIFICANCE]


def _claim_of(findings: Findings, rival: Contender, first: Contender) -> Claim:
    claim = findings.claim(rival.name, first.name, findings.ranking.measure)
    assert claim is not None  # every contender is set against the first
    return claim


def _n_seeds(findings: Findings, first: Contender) -> int:
    """The fewest seeds that a claim about the first rests on."""
    rivals = [findings.contender(name) for name in findings.ranking.within[1:]]
    return min([len(first.figures.seeds), *(_claim_of(findings, r, first).n_seeds for r in rivals)])


def _seconds(contender: Contender) -> float:
    return math.inf if contender.seconds_per_seed is None else contender.seconds_per_seed
