"""A finished training job that another goes on from: `continue_from`.

The job that goes on is of the same method and theta0, with a schedule of its own, and begins from
the finished one's weights: a job id stands for the last weights of each of its seeds, a model id
for that model. What it does not say of its method is as the finished job had it.
"""

from __future__ import annotations

from typing import Any

from core.errors import InvalidSpec
from core.jobs.inputs import require_one_model, require_same_classes
from core.jobs.lookup import Lookup
from core.jobs.recipes import with_recipe
from core.jobs.request import JobRequest, MethodRequest
from core.jobs.spec import JobSpec
from core.learning.methods import registry
from core.learning.methods.auto import Auto
from core.learning.methods.base import Method
from core.records.states import ENDED
from core.records.tables import Model
from core.validation import shown

_PARAM = "continue_from"
_JOB_PREFIX = "ftjob-"


def with_continued(request: JobRequest, lookup: Lookup) -> JobRequest:
    """The request with the finished job's method and hyperparameters beneath its own. A recipe,
    which has been put in by now, says all of them itself.

    Raises InvalidSpec for what is no finished training job or model of one, and for another
    method beside it.
    """
    if request.continue_from is None:
        return request
    job_id, spec = _finished(request.continue_from, lookup)
    method = registry()[spec.method]
    asked = request.method.type if "method" in request.model_fields_set else None
    if asked is not None and asked != method.name:
        raise InvalidSpec(
            f"{request.continue_from} was made by {method.name} and this job's method is "
            f"{shown(asked)}; leave method out to go on with {method.name}, or give the model as "
            '`model`, with "anchor": "base" if theta0 is to stay its base.',
            code="method_differs",
            param="method.type",
        )
    if request.recipe is not None:
        return request
    options = request.method.options() if asked is not None else {}
    own = options.get("hyperparameters")
    if own is not None and not isinstance(own, dict):
        return request  # refused where hyperparameters are checked
    own = {**(request.hyperparameters or {}), **(own or {})}
    values = {**_inherited(method, spec, job_id, lookup, own), **own}
    whole = MethodRequest.model_validate(
        {"type": method.name, method.name: {**options, "hyperparameters": values}}
    )
    return request.model_copy(update={"method": whole, "hyperparameters": None})


def resolve_continued(
    request: JobRequest, theta0: Model, classes: list[str], lookup: Lookup
) -> list[Model]:
    """The models whose weights training begins from, in the order of the finished job's seeds.

    Raises InvalidSpec for another theta0 or class list, and for weights that were deleted.
    """
    assert request.continue_from is not None
    name = request.continue_from
    _, spec = _finished(name, lookup)
    if spec.theta0.sha256 != theta0.sha256:
        raise InvalidSpec(
            f"{name} began from {spec.theta0.id}, which stays theta0 of what continues it, and "
            f"`model` is {theta0.id}; name {spec.theta0.id} as `model`.",
            code="different_parent",
            param="model",
        )
    if name.startswith(_JOB_PREFIX):
        found = _last_weights(name, spec, lookup)
    else:
        model = lookup.model(name)
        assert model is not None  # `_finished` has seen it
        found = [model]
    for each in found:
        require_one_model(each, _PARAM)
        require_same_classes(each, classes, _PARAM, lookup)
    return found


def seeds_used(name: str, lookup: Lookup) -> list[int]:
    """The seeds of the job that made what is continued."""
    return _finished(name, lookup)[1].seeds


def _finished(name: str, lookup: Lookup) -> tuple[str, JobSpec]:
    """The training job of that id, or that made the model of that id."""
    job_id = name if name.startswith(_JOB_PREFIX) else _maker(name, lookup)
    job = lookup.job(job_id)
    if job is None:
        raise InvalidSpec(
            f"continue_from names {shown(name)}, and there is no such job; list jobs with "
            "GET /v1/fine_tuning/jobs.",
            code="unknown_job",
            param=_PARAM,
        )
    spec = JobSpec.model_validate(job.spec)
    method = registry().get(spec.method)
    if method is None or method.kind != "training":
        raise InvalidSpec(
            f"continue_from names {name}, a job of {spec.method}, which trains nothing that could "
            'go on; to train from the model it made give that as `model`, with "anchor": "base" if '
            "theta0 is to stay its base.",
            code="not_a_training_job",
            param=_PARAM,
        )
    if name == job_id and job.status != "succeeded":
        raise InvalidSpec(
            f"continue_from names {name}, which is {job.status}; {_instead(job.status)}.",
            code="job_not_finished",
            param=_PARAM,
        )
    return job_id, spec


def _instead(status: str) -> str:
    if status == "failed":
        return "retry it, and it goes on from its last checkpoint"
    if status == "paused":
        return "resume it, and it goes on where it was"
    if status in ENDED:
        return "name one of its checkpoints (GET .../checkpoints) or another job"
    return "wait until it has succeeded"


def _maker(name: str, lookup: Lookup) -> str:
    model = lookup.model(name)
    if model is None:
        raise InvalidSpec(
            f"continue_from names {shown(name)}, and there is no such model; it must be a "
            "succeeded training job, or a model or checkpoint of one (GET /v1/models).",
            code="unknown_model",
            param=_PARAM,
        )
    if model.job_id is None:
        raise InvalidSpec(
            f"continue_from names {name}, which no job made; leave continue_from out, and "
            "training begins from `model`.",
            code="not_fine_tuned",
            param=_PARAM,
        )
    require_one_model(model, _PARAM)
    return model.job_id


def _last_weights(job_id: str, spec: JobSpec, lookup: Lookup) -> list[Model]:
    """What each seed had come to at its last step; of a job without steps of its own, its model."""
    last = None if registry()[spec.method] is Auto else int(spec.hyperparameters["n_steps"])
    found = {model.seed: model for model in lookup.made_by(job_id) if model.step == last}
    missing = [seed for seed in spec.seeds if seed not in found]
    if missing:
        which = "its weights" if last is None else f"its weights after step {last}"
        raise InvalidSpec(
            f"continue_from names {job_id}, and {which} (seed {missing[0]}) were deleted; name a "
            "model or checkpoint that is still there, or another job.",
            code="job_without_model",
            param=_PARAM,
        )
    return [found[seed] for seed in spec.seeds]


def _inherited(
    method: type[Method], spec: JobSpec, job_id: str, lookup: Lookup, own: dict[str, Any]
) -> dict[str, Any]:
    """The finished job's hyperparameters, without those that say what `own` says otherwise."""
    values = dict(spec.hyperparameters)
    # One of two says how long, and the other follows from it.
    values.pop("n_epochs" if counts_steps(job_id, lookup) else "n_steps", None)
    if own.keys() & {"n_steps", "n_epochs"}:
        values.pop("n_steps", None)
        values.pop("n_epochs", None)
    if "batch_size" in own and values.get("micro_batch_size") == values.get("batch_size"):
        values.pop("micro_batch_size", None)
    if "warmup_fraction" in own:
        values.pop("warmup_steps", None)
    return values


def counts_steps(job_id: str, lookup: Lookup) -> bool:
    """Whether a job's number of steps was given, by its user or a recipe, or follows from its
    epochs."""
    job = lookup.job(job_id)
    assert job is not None
    asked = JobRequest.model_validate(job.request)
    try:
        asked = with_continued(with_recipe(asked), lookup)
    except InvalidSpec:
        return True  # a recipe is gone; its steps are what was run
    own = asked.method.options().get("hyperparameters") or {}
    given = {**(asked.hyperparameters or {}), **own}
    return bool(given.get("n_steps", "auto") != "auto")
