"""The job a user asks for, in OpenAI's shape with our fields beside theirs.

Nothing here is resolved or looked up: `core.jobs.resolve` turns a `JobRequest` into a `JobSpec`
or says what is wrong with it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from core.ids import SUFFIX
from core.jobs.integrations import MAX_INTEGRATIONS, Integration
from core.jobs.labels import MAX_REQUIREMENTS, REQUIREMENT

SplitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
ShiftName = Annotated[str, StringConstraints(max_length=64)]
MAX_METADATA_PAIRS = 16
MAX_METHOD_NAME = 64  # characters
_CLOSED: dict[str, Any] = {"additionalProperties": False}  # names of another pattern are refused


def _as_pair(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given  # JSON has no tuples


Pair = Annotated[tuple[float, float], BeforeValidator(_as_pair)]


def _is_small(metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > MAX_METADATA_PAIRS:
        raise ValueError(f"metadata has {len(metadata)} pairs; the most is {MAX_METADATA_PAIRS}")
    return metadata


Metadata = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=512)]],
    AfterValidator(_is_small),
    Field(json_schema_extra={"maxProperties": MAX_METADATA_PAIRS}),
]


Requirement = Annotated[str, StringConstraints(pattern=f"^{REQUIREMENT.pattern}$")]
Requirements = Annotated[
    list[Requirement],
    Field(
        max_length=MAX_REQUIREMENTS,
        description="What the worker that takes it must say of itself: NAME, NAME=VALUE, "
        "NAME>=NUMBER or NAME<=NUMBER, such as `gpu-mem>=40g`.",
    ),
]
Priority = Annotated[
    int,
    Field(ge=-100, le=100, description="Of the project's jobs that wait, the highest goes first."),
]


class EvaluationSplit(BaseModel):
    """A split that arrives as a file of its own."""

    model_config = ConfigDict(extra="forbid")

    name: SplitName
    file: str = Field(description="Id of an uploaded file.", max_length=128)
    selection: bool = Field(
        False,
        description="Whether this split helps `val` to choose the checkpoint. Said on every "
        "figure it touches: its own, averages with it, and all of models chosen with it.",
    )


class EvaluationRequest(BaseModel):
    """What is scored, beside the splits the training file already holds."""

    model_config = ConfigDict(extra="forbid")

    splits: list[EvaluationSplit] = Field(default_factory=list, max_length=64)
    alphas: list[Annotated[float, Field(ge=0.0, le=1.0)]] = Field(
        default_factory=lambda: [0.5],
        max_length=21,
        description="WiSE-FT interpolations with theta0 scored beside the fine-tuned model.",
    )
    allow_duplicates: bool = Field(
        False, description="Accept training images that also occur in a scored split."
    )
    corruptions: list[ShiftName] = Field(
        default_factory=list,
        max_length=75,
        description="Built-in shifts made of `test`, or of `val` without one, and scored like "
        "shifted splits: names `corruption.NAME.SEVERITY`, NAME one of ImageNet-C's 15 "
        "corruptions, a family (noise, blur, weather, digital) or `all`, SEVERITY 1 to 5. "
        "`corruption.all.3` is the usual choice.",
    )
    baselines: dict[SplitName, list[Pair]] = Field(
        default_factory=dict,
        max_length=64,
        json_schema_extra=_CLOSED,
        description="For effective robustness: of each shifted split named, (ID accuracy, shifted "
        "accuracy) of models trained without zero-shot weights, shares from 0 to 1. At least 3, "
        "whose ID accuracies span 10 points; ID is `test`, or `val` without one.",
    )
    averages: dict[SplitName, list[SplitName]] = Field(
        default_factory=dict,
        max_length=32,
        json_schema_extra=_CLOSED,
        description="Means over splits, by name, each with equal weight. `shifted` (all shifted "
        "splits) and `corruptions` (all built-in ones) are there unless given otherwise.",
    )


class MethodRequest(BaseModel):
    """`{"type": T, T: {"inputs": [...], "hyperparameters": {...}}}`, as OpenAI's method union;
    T alone where nothing else is said."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("lipsum_ft", max_length=MAX_METHOD_NAME)

    @model_validator(mode="before")
    @classmethod
    def _from_its_name(cls, given: Any) -> Any:
        return {"type": given} if isinstance(given, str) else given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        as_object = handler.resolve_ref_schema(handler(schema))
        name = {"type": "string", "maxLength": MAX_METHOD_NAME}
        return {"anyOf": [as_object, name], "title": cls.__name__}

    def options(self) -> dict[str, Any]:
        """The object under the method's own name; empty when there is none."""
        found = (self.model_extra or {}).get(self.type)
        return found if isinstance(found, dict) else {}


class JobRequest(BaseModel):
    """Body of `POST /v1/fine_tuning/jobs`."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        description="Id of a base or fine-tuned model: theta0, unless `anchor` says otherwise.",
        max_length=96,
    )
    training_file: str = Field(max_length=128)
    validation_file: str | None = Field(None, max_length=128)
    method: MethodRequest = Field(default_factory=MethodRequest)
    hyperparameters: dict[str, Any] | None = Field(
        None, description="OpenAI's older place for hyperparameters; the method's own win."
    )
    recipe: str | None = Field(
        None,
        max_length=64,
        description="Named settings: gives the method and its hyperparameters.",
    )
    anchor: Literal["model", "base"] = Field(
        "model",
        description="What theta0 is: what methods keep to, the zero-shot row and one end of every "
        "line. base: the base that `model` was made from in the first place, while training begins "
        "from the weights of `model`, and from its head where the classes are the same.",
    )
    continue_from: str | None = Field(
        None,
        max_length=128,
        description="Id of a succeeded training job, or of a model or checkpoint of one, to go on "
        "from: a new warm-up and schedule from its last weights, of each of its seeds. `model` is "
        "that job's, and so are method and hyperparameters where they are left out. `seed` is then "
        "the one after that job's last, so that nothing is drawn twice.",
    )
    evaluation: EvaluationRequest = Field(default_factory=EvaluationRequest)
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    n_seeds: int = Field(1, ge=1, le=10, description="Runs with seed, seed + 1, ...")
    suffix: str | None = Field(None, pattern=f"^{SUFFIX.pattern}$")
    metadata: Metadata | None = None
    priority: Priority = 0
    requires: Requirements = Field(default_factory=list)
    integrations: list[Integration] | None = Field(
        None,
        max_length=MAX_INTEGRATIONS,
        description="Where step metrics and the result table go as well: mlflow, wandb (offline, "
        "among the result files), tensorboard (among the result files).",
    )
