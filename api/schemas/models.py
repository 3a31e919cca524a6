"""OpenAI's model, and where its weights are."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from core.records.tables import Model

OPERATOR = "operator"  # who owns the bases


class ModelFile(BaseModel):
    """One file of the weights, at `/v1/models/{id}/files/{name}`."""

    name: str
    size: int


class ModelObject(BaseModel):
    """OpenAI's model object; from `kind` on, the fields are ours."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    kind: str = Field(description="base, fine_tuned or checkpoint.")
    base: str | None = Field(description="The model it was fine-tuned from: theta0 of its job.")
    start: str | None = Field(
        description="The model whose weights training began from, where those were not the base's."
    )
    method: str | None
    job_id: str | None
    seed: int | None
    step: int | None
    metrics: dict[str, float | None]
    image_size: int | None = Field(description="Side of the square input image, pixels.")
    embed_dim: int | None
    n_classes: int | None = Field(description="Classes of its trained head, if it has one.")
    mixture: dict[str, str] | None = Field(
        description="Of models that answer together: the folder of each and which model it is."
    )
    size: int = Field(description="Bytes of the tar of its weights.")
    sha256: str = Field(description="Of that tar.")
    files: list[ModelFile]


class ModelDeleted(BaseModel):
    """OpenAI's answer to a deletion."""

    id: str
    object: Literal["model"] = "model"
    deleted: Literal[True] = True


def model_object(row: Model) -> ModelObject:
    """A model's row on the wire."""
    info: dict[str, Any] = row.info
    return ModelObject(
        id=row.id,
        created=int(row.created_at),
        owned_by=row.project_id or OPERATOR,
        kind=row.kind,
        base=info.get("base"),
        start=info.get("start"),
        method=info.get("method"),
        job_id=row.job_id,
        seed=row.seed,
        step=row.step,
        metrics=row.metrics,
        image_size=info.get("image_size"),
        embed_dim=info.get("embed_dim"),
        n_classes=info.get("n_classes"),
        mixture=info.get("mixture"),
        size=row.size,
        sha256=row.sha256,
        files=[ModelFile(name=name, size=place[1]) for name, place in row.members.items()],
    )
