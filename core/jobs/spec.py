"""The resolved job: everything a trainer needs, nothing left to "auto", no database required.

A `JobSpec` is written once with the job's row and handed to the trainer process as JSON. It
names objects by the keys the service chose; a client never does. Two jobs with equal specs
give equal results on one machine.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.jobs.integrations import OwnedIntegration

VALIDATION_FRACTION = 0.1  # of train, held out by the trainer where a job has no `val`


def id_split(names: Collection[str]) -> str | None:
    """What `JobSpec.id_split` is for a job with splits of these names."""
    if "test" in names:
        return "test"
    return "val" if "val" in names or "train" in names else None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelReference(_Frozen):
    """A stored model: one uncompressed tar in the layout of `core.learning.models`."""

    id: str
    object_key: str
    sha256: str
    size: int = Field(description="Bytes of the tar.")
    base: str | None = Field(None, description="Id of the model it was fine-tuned from, if any.")
    selected_on: list[str] = Field(
        default_factory=list,
        description="Splits marked for selection that chose it, or a model it was made from.",
    )


class DatasetReference(_Frozen):
    """An immutable dataset version: a stored archive and, once checked, its index."""

    version: str = Field(description="Dataset version id, the content digest of the archive.")
    archive_key: str
    archive_size: int
    index_key: str = Field(description="Where the checked index is, or will be written.")


class SplitReference(_Frozen):
    """One split of the job and where its images lie."""

    name: str = Field(description="`train`, `val`, `test` or the name of a shifted split.")
    version: str
    archive_split: str = Field(description="The split's name inside that archive.")
    selection: bool = False


class ComparedJob(_Frozen):
    """A finished job of a comparison and what it left to be compared."""

    label: str = Field(description="The contender's name in the report.")
    method: str
    of: list[str] = Field(description="Labels of the contenders it was made from.")
    results_key: str
    predictions_key: str
    seconds: float = Field(description="That the job ran.")


class ComparisonSpec(_Frozen):
    """What the last job of a comparison reports on."""

    comparison_id: str
    title: str
    jobs: list[ComparedJob]
    left_out: dict[str, str] = Field(description="Contenders without a result, and why.")


class JobSpec(_Frozen):
    """What one job does."""

    schema_version: Literal[1] = 1
    job_id: str
    method: str
    hyperparameters: dict[str, Any]
    theta0: ModelReference
    starts: list[ModelReference] = Field(
        default_factory=list,
        description="Models whose weights training begins from, one for each of `seeds`; none "
        "where it begins from theta0.",
    )
    inputs: list[ModelReference] = Field(
        default_factory=list, description="Models that a combination or an evaluation reads."
    )
    model_id: str = Field(description="Id that the finished model gets.")
    datasets: list[DatasetReference]
    splits: list[SplitReference]
    seeds: list[int] = Field(
        description="One for each run. Of a combination that takes one input, one for each of "
        "`inputs`, which is then done with each by itself."
    )
    held_out_seed: int | None = Field(
        None,
        description="Seed of the slice of train that is `val` where none is given. The first of "
        "`seeds` when absent.",
    )
    held_out_is_new: bool = Field(
        True, description="Whether no model the job reads was trained on that slice."
    )
    alphas: list[float]
    allow_duplicates: bool = False
    max_unreadable_fraction: float
    corruptions: list[str] = Field(
        default_factory=list, description="Built-in shifts to score, as `shift_name` writes them."
    )
    baselines: dict[str, list[tuple[float, float]]] = Field(
        default_factory=dict, description="(ID, shift) accuracies for effective robustness."
    )
    averages: dict[str, list[str]] = Field(
        default_factory=dict, description="Splits of each named average, the default ones too."
    )
    comparison: ComparisonSpec | None = Field(
        None, description="For the job that reports on a comparison, and no other."
    )
    integrations: list[OwnedIntegration] = Field(
        default_factory=list, description="Where results go as well; no part of the work."
    )

    @property
    def slice_seed(self) -> int:
        """The seed that the held-out slice of train is drawn with."""
        return self.seeds[0] if self.held_out_seed is None else self.held_out_seed

    @property
    def id_split(self) -> str | None:
        """The ID split that built-in shifts are made of and effective robustness refers to:
        `test`, else `val` (which is cut from `train` where there is none), else None."""
        return id_split([split.name for split in self.splits])

    def dataset(self, version: str) -> DatasetReference:
        """The dataset version of that id. Raises KeyError when the job does not use it."""
        for reference in self.datasets:
            if reference.version == version:
                return reference
        raise KeyError(version)

    def split(self, name: str) -> SplitReference | None:
        """The split of that name, if the job has one."""
        return next((split for split in self.splits if split.name == name), None)
