"""What was measured while a job trained, step by step."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from core.records.metrics import BEGINNING, Measured, Place

START = "start"
PLACE = r"[0-9]{1,10}\.[0-9]{1,15}"


class StepMetrics(BaseModel):
    """The values of one training step. Null is a value that was not a finite number."""

    seed: int
    step: int = Field(description="Of its seed, from 0.")
    values: dict[str, float | None]


class StepMetricsPage(BaseModel):
    """Steps in the order of seeds and steps."""

    object: Literal["list"] = "list"
    data: list[StepMetrics]
    has_more: bool


def step_object(measured: Measured) -> StepMetrics:
    """A step's metrics on the wire."""
    seed, step = measured.place
    return StepMetrics(seed=seed, step=step, values=measured.values)


def place_of(after: str) -> Place:
    """`0.120`: seed 0, step 120. Of a string that PLACE matches, or START."""
    if after == START:
        return BEGINNING
    seed, _, step = after.partition(".")
    return int(seed), int(step)
