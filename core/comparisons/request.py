"""The comparison a user asks for: one data set, one base, several methods.

Nothing here is looked up: `core.comparisons.plan` turns a request into contenders, or says what is
wrong with it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.jobs.request import (
    EvaluationRequest,
    Metadata,
    MethodRequest,
    Priority,
    Requirements,
)

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+@-]{1,48}$")]
MAX_CONTENDERS = 64
_NOT_EMPTY = {"minItems": 1}  # refused with advice, by `plan`


class ContenderRequest(BaseModel):
    """One method with settings of its own."""

    model_config = ConfigDict(extra="forbid")

    label: Label | None = Field(None, description="Its name in the report. Default: the method's.")
    method: MethodRequest
    of: list[Label] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="Labels of the contenders whose models a combination reads. Default: ft.",
    )


class Budget(BaseModel):
    """What the whole comparison may cost. Jobs that have begun are finished."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(
        gt=0,
        description="Running time of all jobs together after which no further job begins; what "
        "was not run is named in the report.",
    )


class ComparisonRequest(BaseModel):
    """Body of `POST /v1/comparisons`."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=120, description="The report's title.")
    model: str = Field(description="Id of a base or fine-tuned model: theta0.", max_length=96)
    training_file: str = Field(max_length=128)
    validation_file: str | None = Field(None, max_length=128)
    methods: (
        Literal["all"]
        | Annotated[
            list[Label | ContenderRequest],
            Field(max_length=MAX_CONTENDERS, json_schema_extra=_NOT_EMPTY),
        ]
    ) = Field(
        description='"all" that fit the base, or a list: METHOD, COMBINATION (of plain '
        "fine-tuning), METHOD+COMBINATION, or an object with settings of its own.",
    )
    hyperparameters: dict[str, Any] = Field(
        default_factory=dict,
        description="Of the recipe all training methods share; a contender's own win.",
    )
    evaluation: EvaluationRequest = Field(default_factory=EvaluationRequest)
    seed: int = Field(0, ge=0, le=2**31 - 1)
    n_seeds: int = Field(1, ge=1, le=10, description="Runs of each method: seed, seed + 1, ...")
    budget: Budget | None = None
    metadata: Metadata | None = None
    priority: Priority = 0
    requires: Requirements = Field(default_factory=list)
