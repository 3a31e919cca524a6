"""A method on the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from core.learning.methods.base import Kind


class FewestAndMost(BaseModel):
    """How many finished models a method reads."""

    fewest: int
    most: int | None = Field(description="Null for any number.")


class MethodObject(BaseModel):
    """One method or combination, as a job's `method.type` names it."""

    object: Literal["method"] = "method"
    name: str
    title: str
    kind: Kind
    description: str = Field(description="One sentence: when to take it.")
    citation: str
    fits: dict[str, list[str]] = Field(description="Kinds of towers that it can run on.")
    inputs: FewestAndMost
    output: Literal["weights", "mixture"]
    hyperparameters: dict[str, Any] = Field(description="Their JSON Schema.")


class MethodList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[MethodObject]
