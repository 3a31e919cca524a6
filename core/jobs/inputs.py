"""The finished models that a combination or an evaluation reads: `method.T.inputs`.

A model id stands for that model; a job id for all the models the job made, one for each seed.
"""

from __future__ import annotations

from core.datasets.structure import Structure
from core.errors import InvalidSpec
from core.jobs.lookup import Lookup
from core.jobs.request import JobRequest
from core.learning.combine.base import Combination
from core.learning.methods.base import Method
from core.records.tables import Model
from core.validation import shown

MAX_INPUTS = 64
_JOB_PREFIX = "ftjob-"


def resolve_inputs(
    request: JobRequest, method: type[Method], theta0: Model, classes: list[str], lookup: Lookup
) -> list[Model]:
    """The models, in the order given, a job's in the order of its seeds.

    For a method that takes one input, several are the models of one job. An evaluation without
    any scores theta0 itself.
    """
    param = f"method.{method.name}.inputs"
    names = _names(request, method, param)
    found = [model for name in names for model in _find(name, param, lookup)]
    _check_count(found, names, method, param)
    for model in found:
        require_same_classes(model, classes, param, lookup)
        if method.kind == "combination":
            _check_parent(model, theta0, param, lookup)
            require_one_model(model, param)
    return found


def takes_one(method: type[Method]) -> bool:
    """Whether the method is done with each input by itself."""
    return method.n_inputs == (1, 1)


def require_fitting(combination: Combination, inputs: list[Model]) -> None:
    """Raises InvalidSpec for settings that do not go with so many models."""
    why = combination.misfit_inputs(1 if takes_one(type(combination)) else len(inputs))
    if why is not None:
        raise InvalidSpec(
            f"{why}.",
            code="wrong_number_of_inputs",
            param=f"method.{combination.name}.hyperparameters",
        )


def require_one_model(model: Model, param: str) -> None:
    """Raises InvalidSpec for a mixture: it has no weights to begin from or to merge."""
    members = model.info.get("mixture")
    if not members:
        return
    raise InvalidSpec(
        f"{param} names {model.id}, which is a mixture of {len(members)} models that answer "
        "together and has no weights of its own to train or to combine; name one of them: "
        f"{', '.join(members.values())}.",
        code="is_a_mixture",
        param=param,
    )


def require_same_classes(model: Model, classes: list[str], param: str, lookup: Lookup) -> None:
    """Raises InvalidSpec for other classes than the model's: its head means nothing for them. A
    base has none and takes any."""
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
    fewest, most = min(method.n_inputs[0], 1), method.n_inputs[1] or MAX_INPUTS
    if method.kind != "training" and not fewest <= len(names) <= most:
        raise _wrong_number(f"{param} has {len(names)} entries", method, param)
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise _repeated(f"{param} names {shown(repeated)} twice", param)
    return names


def _find(name: str, param: str, lookup: Lookup) -> list[Model]:
    """The model of that id, or those that the job of that id made."""
    if name.startswith(_JOB_PREFIX):
        return _models_of_job(name, param, lookup)
    model = lookup.model(name)
    if model is None:
        raise InvalidSpec(
            f"{param} names {shown(name)}, and there is no such model; list models with "
            "GET /v1/models.",
            code="unknown_model",
            param=param,
        )
    return [model]


def _models_of_job(job_id: str, param: str, lookup: Lookup) -> list[Model]:
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
    found = lookup.models_of(job_id)
    if not found:
        raise InvalidSpec(
            f"{param} names {job_id}, whose models were deleted; name a job that still has one.",
            code="job_without_model",
            param=param,
        )
    return found


def _check_count(found: list[Model], names: list[str], method: type[Method], param: str) -> None:
    """What jobs stand for is counted and compared, not what was written."""
    ids = [model.id for model in found]
    repeated = next((each for each in ids if ids.count(each) > 1), None)
    if repeated is not None:
        raise _repeated(f"{param} names {repeated} twice, by itself and by its job", param)
    if method.kind == "training" or takes_one(method):
        return
    fewest, most = method.n_inputs[0], method.n_inputs[1] or MAX_INPUTS
    if not fewest <= len(found) <= most:
        models = "one model" if len(found) == 1 else f"{len(found)} models"
        written = f"{param} ({', '.join(map(shown, names[:3]))}) stands for {models}"
        raise _wrong_number(written, method, param)


def _wrong_number(written: str, method: type[Method], param: str) -> InvalidSpec:
    fewest, most = method.n_inputs[0], method.n_inputs[1] or MAX_INPUTS
    wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
    each = "" if fewest == most else ", each standing for all the models it made,"
    return InvalidSpec(
        f"{written}; {method.name} takes {wanted}: ids of succeeded jobs{each} or of models.",
        code="wrong_number_of_inputs",
        param=param,
    )


def _repeated(written: str, param: str) -> InvalidSpec:
    return InvalidSpec(f"{written}; name each once.", code="repeated_input", param=param)


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
