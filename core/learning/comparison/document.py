"""The comparison as one document: every number and word that page, CSV, plots and tables show.

Written as `comparison.json`. Accuracies and differences are shares from 0 to 1, times are seconds,
intervals are 95 %. Whatever is drawn or printed is rendered from this document alone; the
predictions behind it are not needed again. `schema_version` rises when a field changes meaning.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
ZERO_SHOT = "zero_shot"
ZERO_SHOT_LABEL = "zero-shot"
PLAIN_FT = "ft"  # the contender that costs and claims are set beside, where there is one
ID_TOLERANCE = 0.005  # of ID accuracy below the best contender's: half a point
SIGNIFICANCE = 0.05  # of Holm-corrected p values
SELECTION_MARK = "†"

SplitKind = Literal["id", "shifted", "corruption"]
Scope = Literal["id", "shifted", "corruptions"]
"""What a figure is of: the ID split, the mean over shifted splits, over built-in corruptions."""
Situation = Literal["clear", "tie", "one_seed", "alone", "zero_shot_better", "no_shift"]


class Part(BaseModel):
    """Closed and immutable, so that a document of another version is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Provenance(Part):
    """What the caller says of where the numbers come from; shown as it stands."""

    title: str  # what was compared on, such as the data set's name
    base: str  # the zero-shot model
    date: str  # ISO 8601
    version: str
    commit: str | None = None  # of the code, where the caller knows it
    machine: str = ""
    selected_by: tuple[str, ...] = ()  # sentences: what chose checkpoints, alphas, temperatures
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Which code, when and where, for the foot of a page or a table."""
        commit = [] if self.commit is None else [f"commit {self.commit}"]
        machine = [self.machine] if self.machine else []
        return ", ".join([f"version {self.version}", *commit, self.date, *machine])


class SplitFacts(Part):
    """A reported split."""

    name: str
    kind: SplitKind
    n: int  # images
    selection: bool  # its labels chose something: every figure it touches is marked


class Average(Part):
    """A mean over splits with equal weight."""

    scope: Scope
    name: str
    members: tuple[str, ...]
    selection: bool  # a member's labels chose something


class Value(Part):
    """One metric over the seeds of a model."""

    mean: float
    sd: float | None  # over seeds; None for one
    by_seed: dict[int, float]
    low: float | None  # one seed: over images; several, accuracy only: bootstrap over both
    high: float | None
    n: int  # images


class Bin(Part):
    """One of the equal-width bins of confidence (low, high], all seeds' images together."""

    n: int
    confidence: float | None  # mean top probability; None without images
    accuracy: float | None


class Figures(Part):
    """Everything measured of one model or contender."""

    seeds: tuple[int, ...]
    chosen_on: tuple[str, ...]  # selection splits that chose it: then every figure is marked
    splits: dict[str, dict[str, Value]]  # split -> metric
    averages: dict[Scope, dict[str, Value]]  # of metrics that every member has
    calibration: dict[Scope, tuple[Bin, ...]]  # of ID images, and of the pooled shifted ones


class AlphaPoint(Part):
    """One model on a contender's line from zero-shot (0) to fine-tuned (1)."""

    alpha: float
    id: Value
    shift: Value  # the measure


class Cost(Part):
    """One piece of what a contender took, its seeds together."""

    what: str
    seconds: float


class SeedChange(Part):
    """One seed's accuracy minus zero-shot's, and McNemar's exact p.

    Holm-corrected over the splits of a family: ID and shifted splits are one, the built-in
    corruptions another.
    """

    difference: float
    p_holm: float


class Change(Part):
    """A contender's accuracy on one split minus zero-shot's."""

    split: str
    difference: float  # mean over seeds
    by_seed: dict[int, SeedChange]
    worse_in: int  # seeds in which it is significantly worse
    better_in: int


class Contender(Part):
    """A method, or a method and a combination, over its seeds."""

    name: str
    label: str
    method_title: str
    citation: str
    figures: Figures
    curve: tuple[AlphaPoint, ...]
    changes: tuple[Change, ...]  # empty where no zero-shot model was scored
    costs: tuple[Cost, ...]  # empty where unknown

    @property
    def seconds(self) -> float | None:
        """Of all seeds, and of what the contender was made from."""
        return sum(cost.seconds for cost in self.costs) if self.costs else None

    @property
    def seconds_per_seed(self) -> float | None:
        return None if self.seconds is None else self.seconds / len(self.figures.seeds)


class Claim(Part):
    """`contender` minus `against`: a paired bootstrap over the seeds both have and the images."""

    contender: str
    against: str  # a contender's name, or zero_shot
    scope: Scope
    n_seeds: int
    n: int  # images
    difference: float
    low: float
    high: float
    p: float
    p_holm: float  # over the contenders set against the same one in the same scope


class Ranking(Part):
    """Contenders by the measure, those within ID_TOLERANCE of the best ID accuracy apart."""

    measure: Scope
    best_id: str
    within: tuple[str, ...]  # best first
    outside: tuple[str, ...]


class Findings(Part):
    """The numbers."""

    splits: tuple[SplitFacts, ...]
    averages: tuple[Average, ...]
    zero_shot: Figures | None
    contenders: tuple[Contender, ...]
    ranking: Ranking
    claims: tuple[Claim, ...]

    @property
    def id_split(self) -> SplitFacts:
        return next(split for split in self.splits if split.kind == "id")

    @property
    def shifted(self) -> tuple[SplitFacts, ...]:
        return tuple(split for split in self.splits if split.kind == "shifted")

    @property
    def touched(self) -> bool:
        """Whether selection touched any figure."""
        return any(split.selection for split in self.splits) or any(
            contender.figures.chosen_on for contender in self.contenders
        )

    @property
    def ranked(self) -> tuple[Contender, ...]:
        """Within the ID band best first, then those outside it."""
        return tuple(self.contender(name) for name in self.ranking.within + self.ranking.outside)

    def contender(self, name: str) -> Contender:
        return next(found for found in self.contenders if found.name == name)

    def average(self, scope: Scope) -> Average | None:
        return next((found for found in self.averages if found.scope == scope), None)

    def value(self, figures: Figures, scope: Scope, metric: str = "accuracy") -> Value | None:
        """A metric of a scope; None where it was not measured on all of it."""
        if scope == "id":
            return figures.splits[self.id_split.name].get(metric)
        return figures.averages.get(scope, {}).get(metric)

    def accuracy(self, figures: Figures, scope: Scope) -> Value:
        """Accuracy of a scope that exists: every contender was scored on every split."""
        found = self.value(figures, scope)
        assert found is not None
        return found

    def measured(self, figures: Figures) -> Value:
        """The measure that contenders are ranked by."""
        return self.accuracy(figures, self.ranking.measure)

    def claim(self, contender: str, against: str, scope: Scope) -> Claim | None:
        wanted = (contender, against, scope)
        return next((c for c in self.claims if (c.contender, c.against, c.scope) == wanted), None)

    def relative_cost(self, contender: Contender) -> float | None:
        """Seconds a seed, in those of plain fine-tuning; None where either is unknown."""
        plain = next((found for found in self.contenders if found.name == PLAIN_FT), None)
        if plain is None or not plain.seconds_per_seed or contender.seconds_per_seed is None:
            return None
        return contender.seconds_per_seed / plain.seconds_per_seed


class Verdict(Part):
    """What to take, in words."""

    situation: Situation
    take: str  # a contender's name, or zero_shot
    headline: str  # which to take and how sure that is
    details: tuple[str, ...]  # what it costs, and what speaks against it
    caveat: str  # what the choice was made from


class Constants(Part):
    """The numbers that the rules hang on."""

    id_tolerance: float
    significance: float
    confidence: float
    bootstrap_draws: int
    bootstrap_seed: int
    calibration_bins: int


class Comparison(Part):
    """The whole document."""

    schema_version: Literal[1]
    provenance: Provenance
    constants: Constants
    findings: Findings
    verdict: Verdict


def to_json(comparison: Comparison) -> str:
    """The document as JSON: the same bytes for equal documents, floats exact."""
    document = comparison.model_dump(mode="json")
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Comparison:
    """The document that `to_json` wrote.

    Raises ValueError for another `schema_version` or anything that is not such a document.
    """
    document: Any = json.loads(text)
    found = document.get("schema_version") if isinstance(document, dict) else None
    if found != SCHEMA_VERSION:
        raise ValueError(
            f"the document has schema_version {found!r}, this library reads {SCHEMA_VERSION}; "
            "render it with the version that wrote it"
        )
    return Comparison.model_validate(document)
