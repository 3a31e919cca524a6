"""Names that point at models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.ids import ALIAS, MODEL_ID
from core.records.tables import Alias

Name = Annotated[str, Field(pattern=f"^{ALIAS.pattern}$")]
ModelId = Annotated[str, Field(pattern=f"^{MODEL_ID.pattern}$")]


class AliasRequest(BaseModel):
    """Where the alias is to point."""

    model_config = ConfigDict(extra="forbid")

    model: ModelId = Field(description="A model's id, or another alias, whose model it is then.")
    expected_model: ModelId | None = Field(
        None, description="Only if the alias points at this model's id now; else 409."
    )


class AliasObject(BaseModel):
    """An alias. It may stand wherever a model's id may."""

    id: str
    object: Literal["alias"] = "alias"
    name: str
    model: str = Field(description="The id of the model it points at.")
    previous_model: str | None = Field(description="What a roll back makes it point at.")
    created_at: int
    changed_at: float


class AliasDeleted(BaseModel):
    """The name means nothing any more."""

    name: str
    object: Literal["alias"] = "alias"
    deleted: Literal[True] = True


def alias_object(row: Alias) -> AliasObject:
    """An alias's row on the wire."""
    return AliasObject(
        id=row.id,
        name=row.name,
        model=row.model_id,
        previous_model=row.previous_model_id,
        created_at=int(row.created_at),
        changed_at=row.changed_at,
    )
