"""Where else a job's metrics and results go: `integrations`, in OpenAI's shape.

Nobody names an address or a key here: the MLflow server is the operator's setting, and a W&B run
is written offline, for its owner to send with a key of their own.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from core.errors import InvalidSpec
from core.settings import Settings

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._-]{1,128}$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=128)]
MAX_INTEGRATIONS = 3


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WandbOptions(_Options):
    """OpenAI's own options of a W&B run."""

    project: Name
    name: Name | None = None
    entity: Name | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=16)


class MlflowOptions(_Options):
    """Of a run on the operator's MLflow server."""

    experiment: Name = "fine-tuning"
    run_name: Name | None = None


_NULL: JsonDict = {"type": "null"}
_ITS_OWN_OPTIONS: JsonDict = {  # what `_has_its_own_options` says in a sentence
    "if": {"properties": {"type": {"const": "wandb"}}},
    "then": {"required": ["wandb"], "properties": {"wandb": {"type": "object"}, "mlflow": _NULL}},
    "else": {
        "properties": {"wandb": _NULL},
        "if": {"properties": {"type": {"const": "tensorboard"}}},
        "then": {"properties": {"mlflow": _NULL}},
    },
}


class Integration(_Options):
    """One place: `{"type": T, T: {...}}`."""

    model_config = ConfigDict(json_schema_extra=_ITS_OWN_OPTIONS)

    type: Literal["mlflow", "wandb", "tensorboard"]
    wandb: WandbOptions | None = None
    mlflow: MlflowOptions | None = None

    @model_validator(mode="after")
    def _has_its_own_options(self) -> Self:
        given = {name for name in ("wandb", "mlflow") if getattr(self, name) is not None}
        if given - {self.type}:
            raise ValueError(f"the options of {self.type} stand under its own name")
        if self.type == "wandb" and self.wandb is None:
            raise ValueError('wandb needs {"project": NAME} under its own name')
        return self


class OwnedMlflow(MlflowOptions):
    """The same, the experiment's name beginning with its project's id."""

    experiment: str = Field(max_length=256)


class OwnedIntegration(Integration):
    """One place, as a trainer is told: no project writes into another's experiments."""

    mlflow: OwnedMlflow | None = None


def resolve_integrations(
    asked: list[Integration], settings: Settings, project_id: str
) -> list[OwnedIntegration]:
    """What is asked, as a trainer is told. Raises InvalidSpec."""
    kinds = [each.type for each in asked]
    for place, each in enumerate(asked):
        param = f"integrations.{place}"
        if kinds.index(each.type) != place:
            raise InvalidSpec(
                f"{each.type} is given twice; each integration can be used once in a job.",
                code="duplicate_integration",
                param=param,
            )
        if each.type == "mlflow" and settings.mlflow_tracking_uri is None:
            raise InvalidSpec(
                "This service logs to no MLflow server; its operator names one with "
                "LIPSUM_MLFLOW_TRACKING_URI. Leave the integration out.",
                code="integration_not_configured",
                param=param,
            )
    return [_of_project(each, project_id) for each in asked]


def _of_project(asked: Integration, project_id: str) -> OwnedIntegration:
    owned = None
    if asked.type == "mlflow":
        options = asked.mlflow or MlflowOptions()
        experiment = f"{project_id}/{options.experiment}"
        owned = OwnedMlflow(experiment=experiment, run_name=options.run_name)
    return OwnedIntegration(type=asked.type, wandb=asked.wandb, mlflow=owned)
