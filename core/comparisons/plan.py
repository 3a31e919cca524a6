"""A comparison request as contenders: what trains, what is made of it afterwards, in that order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.comparisons.request import ComparisonRequest, ContenderRequest
from core.errors import InvalidSpec
from core.jobs.request import EvaluationRequest, JobRequest, MethodRequest
from core.learning.architecture import Architecture
from core.learning.methods import registry
from core.learning.methods.base import Method, TrainingHyperparameters
from core.validation import shown

PLAIN = "ft"  # what a combination reads where nothing else is said
CURVE = (0.25, 0.5, 0.75)  # WiSE-FT's alphas scored with every training contender by default
_NO_ANSWER_CHANGES = ("temperature",)  # of no use beside reports that calibrate everything


@dataclass(frozen=True)
class Contender:
    """One row of the comparison: a job, made now or when those it reads have succeeded."""

    label: str
    method: MethodRequest
    of: tuple[str, ...] = ()  # labels; empty where it trains


def make_plan(request: ComparisonRequest, base: Architecture) -> list[Contender]:
    """The contenders, each after those it reads.

    What a combination reads and nobody listed is added. Raises InvalidSpec, `param` set.
    """
    _check_shared(request.hyperparameters)
    if request.methods == "all":
        wanted = [_parse(name, "methods") for name in every_method(base, request.n_seeds)]
    else:
        wanted = [_read(item, f"methods.{place}") for place, item in enumerate(request.methods)]
    if not wanted:
        raise InvalidSpec('methods is empty; name at least one, or "all".', param="methods")
    labelled: dict[str, Contender] = {}
    for contender in wanted:
        if contender.label in labelled:
            raise InvalidSpec(
                f"The contender {shown(contender.label)} is given twice; set another `label`.",
                code="duplicate_contender",
                param="methods",
            )
        labelled[contender.label] = contender
    for contender in wanted:
        for parent in contender.of:
            if parent not in labelled:
                labelled[parent] = _plain(parent, contender.label, labelled)
            _require_trainer(labelled[parent], contender.label)
        _check_count(contender, request.n_seeds)
    return sorted(labelled.values(), key=lambda contender: bool(contender.of))


def every_method(base: Architecture, n_seeds: int) -> list[str]:
    """What "all" stands for: every method that fits the base, combinations of plain fine-tuning,
    and the line from Lipsum-FT to zero-shot, which is where the evidence says to start."""
    fitting = [method for method in registry().values() if method.misfit(base) is None]
    trained = [method.name for method in fitting if method.kind == "training"]
    combined = [
        method.name
        for method in fitting
        if method.kind == "combination"
        and method.name not in _NO_ANSWER_CHANGES
        and n_seeds >= method.n_inputs[0]
    ]
    return [*trained, *combined, "lipsum_ft+wise_ft"]


def job_request(
    request: ComparisonRequest, contender: Contender, comparison_id: str, inputs: list[str]
) -> JobRequest:
    """The job that makes a contender; `inputs` are the ids of the jobs it reads."""
    own = contender.method.options().get("hyperparameters") or {}
    name = contender.method.type
    options: dict[str, Any] = dict(contender.method.options())
    if contender.of:
        options["inputs"] = inputs
    elif isinstance(own, dict):
        options["hyperparameters"] = {**request.hyperparameters, **own}
    fields: dict[str, Any] = {
        "model": request.model,
        "training_file": request.training_file,
        "method": MethodRequest.model_validate({"type": name, name: options}),
        "evaluation": _evaluation(request),
        "metadata": {"comparison": comparison_id, "contender": contender.label},
    }
    if request.priority:
        fields["priority"] = request.priority
    if request.requires:
        fields["requires"] = request.requires
    if request.validation_file is not None:
        fields["validation_file"] = request.validation_file
    if not contender.of:
        fields |= {"seed": request.seed, "n_seeds": request.n_seeds}
    return JobRequest.model_validate(fields)


def _evaluation(request: ComparisonRequest) -> EvaluationRequest:
    if "alphas" in request.evaluation.model_fields_set:
        return request.evaluation
    return request.evaluation.model_copy(update={"alphas": list(CURVE)})


def _check_shared(hyperparameters: Iterable[str]) -> None:
    known = TrainingHyperparameters.model_fields
    unknown = [name for name in hyperparameters if name not in known]
    if unknown:
        raise InvalidSpec(
            f"hyperparameters has {', '.join(map(shown, unknown))}, which not all training "
            f"methods share; shared are {', '.join(known)}. Give others with their method: "
            '{"method": {"type": T, T: {"hyperparameters": {...}}}}.',
            code="unknown_hyperparameter",
            param="hyperparameters",
        )


def _read(item: str | ContenderRequest, param: str) -> Contender:
    if isinstance(item, str):
        return _parse(item, param)
    method = _find(item.method.type, f"{param}.method.type")
    if "inputs" in item.method.options():
        raise InvalidSpec(
            "A comparison's combinations read its own contenders; write their labels under `of` "
            "and leave inputs out.",
            code="invalid_method",
            param=f"{param}.method",
        )
    label = item.label or method.name
    if method.kind == "training":
        if item.of is not None:
            raise InvalidSpec(
                f"{label} trains from `model`, so it reads no other contender; leave `of` out.",
                param=f"{param}.of",
            )
        return Contender(label, item.method)
    return Contender(label, item.method, tuple(item.of or (PLAIN,)))


def _parse(text: str, param: str) -> Contender:
    """METHOD, COMBINATION or METHOD+COMBINATION."""
    first, plus, second = text.partition("+")
    if not plus:
        method = _find(first, param)
        of = () if method.kind == "training" else (PLAIN,)
        return Contender(first, MethodRequest(type=first), of)
    trained, combined = _find(first, param), _find(second, param)
    if trained.kind != "training" or combined.kind != "combination":
        raise InvalidSpec(
            f"{shown(text)} must be a method that trains and a combination, such as "
            "lipsum_ft+wise_ft.",
            code="invalid_method",
            param=param,
        )
    return Contender(text, MethodRequest(type=second), (first,))


def _find(name: str, param: str) -> type[Method]:
    known = {n: method for n, method in registry().items() if method.kind != "evaluation"}
    if name not in known:
        raise InvalidSpec(
            f"There is no method {shown(name)} to compare; there are {', '.join(known)}, and "
            "METHOD+COMBINATION.",
            code="unknown_method",
            param=param,
        )
    return known[name]


def _plain(label: str, wanted_by: str, labelled: dict[str, Contender]) -> Contender:
    """A training method that a combination reads and nobody listed."""
    method = registry().get(label)
    if method is None or method.kind != "training":
        raise InvalidSpec(
            f"{wanted_by} reads {shown(label)}, which is no contender; there are "
            f"{', '.join(labelled)}.",
            code="unknown_contender",
            param="methods",
        )
    return Contender(label, MethodRequest(type=label))


def _require_trainer(parent: Contender, reader: str) -> None:
    if parent.of:
        raise InvalidSpec(
            f"{reader} reads {parent.label}, which is a combination itself; a combination reads "
            "what was trained.",
            code="invalid_contender",
            param="methods",
        )
    if registry()[parent.method.type].output == "mixture":
        raise InvalidSpec(
            f"{reader} reads {parent.label}, which makes a mixture: models that answer together "
            "and have no weights of their own to combine. Compare it as it is, and leave this one "
            "out.",
            code="is_a_mixture",
            param="methods",
        )


def _check_count(contender: Contender, n_seeds: int) -> None:
    """Where a combination takes one model it is made once for each seed."""
    if not contender.of:
        return
    few, many = registry()[contender.method.type].n_inputs
    n_models = len(contender.of) if many == 1 else len(contender.of) * n_seeds
    if n_models < few or (many is not None and n_models > many):
        wanted = f"{few}" if few == many else f"at least {few}"
        raise InvalidSpec(
            f"{contender.label} reads {n_models} models; {contender.method.type} takes {wanted}. "
            "Change `of`, or n_seeds.",
            code="wrong_number_of_inputs",
            param="methods",
        )
