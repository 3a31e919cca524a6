"""A job's specification as the request that gives it again.

Everything is as it was resolved: recipes, defaults and "auto" are numbers and names. What the
machine decides (where objects lie, how many unreadable images are borne) is not in a request, so
"again" is on the same machine, with the same files and models.
"""

from __future__ import annotations

from typing import Any

from core.errors import Conflict
from core.jobs.continuing import counts_steps
from core.jobs.inputs import takes_one
from core.jobs.lookup import Lookup
from core.jobs.request import JobRequest
from core.jobs.spec import JobSpec
from core.learning.methods import registry
from core.learning.methods.base import Method
from core.records.tables import Job


def request_of(job: Job, lookup: Lookup) -> dict[str, Any]:
    """The body of a POST. Raises Conflict for the job that reports on a comparison."""
    spec = JobSpec.model_validate(job.spec)
    method = registry().get(spec.method)
    if method is None:
        raise Conflict(
            f"Job {job.id} is {spec.method}, which no request asks for: a comparison makes it "
            "when its contenders have ended. Ask for the comparison again.",
            code="not_a_request",
        )
    asked = JobRequest.model_validate(job.request)
    options: dict[str, Any] = {"hyperparameters": _hyperparameters(spec, job.id, lookup)}
    if spec.inputs:
        options["inputs"] = asked.method.options()["inputs"]
    body: dict[str, Any] = {
        "model": asked.model,
        "anchor": asked.anchor if "anchor" in asked.model_fields_set else None,
        "continue_from": asked.continue_from,
        "training_file": asked.training_file,
        "validation_file": asked.validation_file,
        "method": {"type": spec.method, spec.method: options},
        "evaluation": _evaluation(method, spec, asked),
        "suffix": asked.suffix,
        "metadata": asked.metadata,
        "priority": asked.priority or None,
        "requires": asked.requires or None,
        "integrations": asked.integrations
        and [each.model_dump(mode="json", exclude_none=True) for each in asked.integrations],
    }
    if method.kind == "training":
        body |= {"seed": spec.seeds[0], "n_seeds": len(spec.seeds)}
    elif not takes_one(method) or len(spec.inputs) < 2:  # else each input has a seed of its own
        body |= {"seed": spec.seeds[0]}
    return {name: value for name, value in body.items() if value is not None}


def _hyperparameters(spec: JobSpec, job_id: str, lookup: Lookup) -> dict[str, Any]:
    """Steps and epochs say the same, and the one that was rounded must not be said."""
    values = dict(spec.hyperparameters)
    if "n_steps" in values and "n_epochs" in values:
        del values["n_epochs" if counts_steps(job_id, lookup) else "n_steps"]
    return values


def _evaluation(method: type[Method], spec: JobSpec, asked: JobRequest) -> dict[str, Any]:
    splits = [split.model_dump(mode="json") for split in asked.evaluation.splits]
    values = {
        "splits": splits,
        "allow_duplicates": spec.allow_duplicates,
        "corruptions": spec.corruptions,
        "baselines": {name: [list(pair) for pair in b] for name, b in spec.baselines.items()},
        "averages": asked.evaluation.averages,  # the default ones follow from the splits
    }
    return values | ({"alphas": spec.alphas} if method.kind == "training" else {})
