"""What a job would take, and everything that is wrong with its request, without making it.

Figures are counted from the specification or measured on finished jobs; where there is neither,
there is none, and its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from pydantic import ValidationError

from core.datasets.structure import Structure
from core.errors import InvalidRequest
from core.ids import new_id
from core.jobs.lookup import Lookup
from core.jobs.request import JobRequest
from core.jobs.resolve import check_job
from core.jobs.spec import VALIDATION_FRACTION, JobSpec, ModelReference
from core.learning.methods import registry
from core.records.measured import Measured
from core.settings import Settings
from core.validation import findings, read_json


@dataclass(frozen=True)
class Figure:
    """A number and what it rests on, or why there is none."""

    value: float | None
    basis: str


@dataclass(frozen=True)
class Estimate:
    """Of a job that could be made."""

    steps: Figure
    seconds: Figure
    memory_bytes: Figure
    stored_bytes: Figure
    cached_bytes: Figure


def check(
    content: Any, lookup: Lookup, settings: Settings
) -> tuple[JobSpec | None, list[InvalidRequest]]:
    """A request's body as a specification, or all its faults: those of fields and, of what is
    left without these, those of files, models and the method."""
    request, faults, bad = _read(content)
    if request is None:
        return None, faults
    job_id = new_id("ftjob")
    spec, found = check_job(request, lookup=lookup, settings=settings, job_id=job_id)
    faults += [fault for fault in found if (fault.param or "").split(".")[0] not in bad]
    return (None if faults else spec), faults


def estimate(spec: JobSpec, lookup: Lookup, measured: list[Measured]) -> Estimate:
    """`measured` are finished jobs of the same base and method."""
    steps = training_steps(spec)
    counted = "counted from the specification, over all seeds" if steps else "nothing is trained"
    return Estimate(
        steps=Figure(steps, counted),
        seconds=_seconds(spec, steps, measured),
        memory_bytes=_memory(spec, measured),
        stored_bytes=_stored(spec),
        cached_bytes=_cached(spec, lookup),
    )


def training_steps(spec: JobSpec) -> int:
    """Over all seeds, and all models that a seed takes."""
    if registry()[spec.method].kind != "training":
        return 0
    per_run = int(spec.hyperparameters.get("n_steps", 0))
    return per_run * int(spec.hyperparameters.get("n_members", 1)) * len(spec.seeds)


def _read(content: Any) -> tuple[JobRequest | None, list[InvalidRequest], set[str]]:
    """The request as far as it can be read, the faults of its fields, and whose they are."""
    try:
        return read_json(JobRequest, content), [], set()
    except ValidationError as error:
        found = error.errors()
    known = list(JobRequest.model_fields)
    faults = [
        InvalidRequest(finding.sentence, param=finding.field or None)
        for finding in findings(found, known_fields=known)
    ]
    if not isinstance(content, dict):
        return None, faults, set()
    bad = {str(finding["loc"][0]) for finding in found if finding["loc"]}
    rest = {name: value for name, value in content.items() if name not in bad}
    try:
        request = read_json(JobRequest, {"model": "", "training_file": "", **rest})
    except ValidationError:
        return None, faults, bad
    return request, faults, bad


def _seconds(spec: JobSpec, steps: int, measured: list[Measured]) -> Figure:
    if not steps:
        if not measured:
            return Figure(None, _none_finished(spec))
        seconds = median(job.seconds for job in measured)
        return Figure(round(seconds, 1), f"the median of {_jobs(measured)} of this base and method")
    like = [job for job in measured if _same(job.spec, spec, "batch_size")]
    if not like:
        return Figure(None, _none_finished(spec, "batch_size"))
    per_step = median(job.seconds / training_steps(job.spec) for job in like)
    return Figure(
        round(per_step * steps, 1),
        f"{per_step:.3g} s a step, evaluation and all: the median of {_jobs(like)} of this base, "
        "method and batch size",
    )


def _memory(spec: JobSpec, measured: list[Measured]) -> Figure:
    peaks = [
        job
        for job in measured
        if job.peak_memory_bytes is not None and _same(job.spec, spec, "micro_batch_size")
    ]
    if not peaks:
        return Figure(None, _none_finished(spec, "micro_batch_size"))
    most = max(job.peak_memory_bytes or 0 for job in peaks)
    return Figure(most, f"the most of {_jobs(peaks)} of this base, method and micro-batch")


def _stored(spec: JobSpec) -> Figure:
    """Every model of a job is about the size of the one it is made from."""
    method = registry()[spec.method]
    if method.kind == "evaluation":
        return Figure(0, "no model is made")
    if method.kind == "training":
        models, why = 2 * len(spec.seeds), "the kept and the last step's model of each seed"
        if method.output == "mixture":
            models, why = 3 * len(spec.seeds), "each seed's model, and a mixture of it and the base"
    else:
        members = 1 + len(spec.inputs) if method.output == "mixture" else 1
        models, why = members * len(spec.seeds), "each model with its members"
    return Figure(models * spec.theta0.size, f"at most: {why}, the base's size each")


def _cached(spec: JobSpec, lookup: Lookup) -> Figure:
    """On a worker's disk, where it is shared between jobs and can be made again."""
    archives = sum(reference.archive_size for reference in spec.datasets)
    models = 2 * sum(model.size for model in _models(spec))
    side = _image_size(spec, lookup)
    if side is None:
        return Figure(archives + models, "archives and models; without decoded images")
    pixels = 3 * side**2 * _scored_images(spec, lookup)
    return Figure(
        archives + models + pixels,
        "archives, models and decoded evaluation images; without decoded training images, three "
        "bytes a pixel, whose sizes are known when they have been read",
    )


def _models(spec: JobSpec) -> list[ModelReference]:
    """Those that the job reads, each once."""
    return list({m.sha256: m for m in (spec.theta0, *spec.starts, *spec.inputs)}.values())


def _image_size(spec: JobSpec, lookup: Lookup) -> int | None:
    model = lookup.model(spec.theta0.id)
    size = None if model is None else model.info.get("image_size")
    return size if isinstance(size, int) else None


def _scored_images(spec: JobSpec, lookup: Lookup) -> int:
    counts = {}
    for split in spec.splits:
        dataset = lookup.dataset(split.version)
        if dataset is not None:
            classes = Structure.model_validate(dataset.structure).splits[split.archive_split]
            counts[split.name] = sum(classes.values())
    n_train = counts.pop("train", 0)
    if n_train and "val" not in counts:
        counts["val"] = max(1, round(n_train * VALIDATION_FRACTION))
    shown_again = len(spec.corruptions) * counts.get(spec.id_split or "", 0)
    return sum(counts.values()) + shown_again


def _same(one: JobSpec, other: JobSpec, name: str) -> bool:
    return one.hyperparameters.get(name) == other.hyperparameters.get(name)


def _none_finished(spec: JobSpec, name: str | None = None) -> str:
    value = None if name is None else spec.hyperparameters.get(name)
    beside = "" if value is None else f" with {name} {value}"
    return f"no job of {spec.theta0.id} and {spec.method}{beside} has finished here yet"


def _jobs(measured: list[Measured]) -> str:
    return "one finished job" if len(measured) == 1 else f"{len(measured)} finished jobs"
