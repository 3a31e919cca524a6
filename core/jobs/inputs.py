"""The finished models that a combination or an evaluation reads: `method.T.inputs`."""

from __future__ import annotations

from core.datasets.structure import Structure
from core.errors import InvalidSpec
from core.jobs.lookup import Lookup
from core.jobs.request import JobRequest
from core.learning.methods.base import Method
from core.records.tables import Model
from core.validation import shown

MAX_INPUTS = 64
_ONE_INPUT = ("wise_ft",)  # a line has two ends, and theta0 is the other one
_JOB_PREFIX = "ftjob-"


def resolve_inputs(
    request: JobRequest, method: type[Method], theta0: Model, classes: list[str], lookup: Lookup
) -> list[Model]:
    """The models, in the order given. An evaluation without any scores theta0 itself."""
    param = f"method.{method.name}.inputs"
    names = _names(request, method, param)
    found = [_find(name, param, lookup) for name in names]
    for model in found:
        _check_classes(model, classes, param, lookup)
        if method.kind == "combination":
            _check_parent(model, theta0, param, lookup)
    return found


def _names(request: JobRequest, method: type[Method], param: str) -> list[str]:
    names = request.method.options().get("inputs") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidSpec(
            f"{param} is {shown(names)}; it must be a list of job or model ids.", param=param
        )
    if method.kind == "training" and names:
        raise InvalidSpec(
            f"{param} has {len(names)} entries, but {method.name} trains from `model` alone; "
            "leave inputs out.",
            code="wrong_number_of_inputs",
            param=param,
        )
    few = 1 if method.kind == "combination" else 0
    many = 1 if method.name in _ONE_INPUT else MAX_INPUTS
    if method.kind != "training" and not few <= len(names) <= many:
        wanted = f"{few} to {many}" if few != many else str(few)
        raise InvalidSpec(
            f"{param} has {len(names)} entries; {method.name} takes {wanted}: ids of succeeded "
            "jobs or of models.",
            code="wrong_number_of_inputs",
            param=param,
        )
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InvalidSpec(f"{param} names {shown(repeated)} twice.", param=param)
    return names


def _find(name: str, param: str, lookup: Lookup) -> Model:
    """The model of that id, or the one that the job of that id made."""
    model_id = _model_of_job(name, param, lookup) if name.startswith(_JOB_PREFIX) else name
    model = lookup.model(model_id)
    if model is None:
        raise InvalidSpec(
            f"{param} names {shown(name)}, and there is no such model; list models with "
            "GET /v1/models.",
            code="unknown_model",
            param=param,
        )
    return model


def _model_of_job(job_id: str, param: str, lookup: Lookup) -> str:
    job = lookup.job(job_id)
    if job is None:
        raise InvalidSpec(
            f"{param} names {shown(job_id)}, and there is no such job; list jobs with "
            "GET /v1/fine_tuning/jobs.",
            code="unknown_job",
            param=param,
        )
    if job.fine_tuned_model is None:
        made = "made no model" if job.status == "succeeded" else "has no model yet"
        raise InvalidSpec(
            f"{param} names {job_id}, which is {job.status} and {made}; name a training job that "
            "has succeeded.",
            code="job_without_model",
            param=param,
        )
    return job.fine_tuned_model


def _check_classes(model: Model, classes: list[str], param: str, lookup: Lookup) -> None:
    """A trained head means nothing for other classes. A base has none and takes any."""
    spec = None if model.job_id is None else lookup.spec_of(model.job_id)
    trained_on = None if spec is None else spec.split("train") or spec.splits[0]
    dataset = None if trained_on is None else lookup.dataset(trained_on.version)
    if dataset is None:
        return
    own = Structure.model_validate(dataset.structure).classes
    if own != classes:
        odd = sorted(set(own) ^ set(classes))[:3]
        raise InvalidSpec(
            f"{model.id} was trained on {len(own)} classes and training_file has {len(classes)} "
            f"({', '.join(map(shown, odd))} in only one of them); repeat the training_file of "
            "the job that made the model.",
            code="class_list_differs",
            param=param,
        )


def _check_parent(model: Model, theta0: Model, param: str, lookup: Lookup) -> None:
    """Both ends of the line must be one model before and after fine-tuning."""
    spec = None if model.job_id is None else lookup.spec_of(model.job_id)
    if spec is None:
        raise InvalidSpec(
            f"{param} names {model.id}, which no job made; name a fine-tuned model.",
            code="not_fine_tuned",
            param=param,
        )
    if spec.theta0.sha256 != theta0.sha256:
        raise InvalidSpec(
            f"{model.id} was fine-tuned from {spec.theta0.id} and `model` is {theta0.id}; name "
            f"{spec.theta0.id} as `model`.",
            code="different_parent",
            param="model",
        )
