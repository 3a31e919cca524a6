"""What theta0 of a job is: the model it names, or the base that this came from."""

from __future__ import annotations

from core.errors import InvalidSpec
from core.jobs.lookup import Lookup
from core.jobs.request import JobRequest
from core.learning.methods.base import Method
from core.records.tables import Model

_PARAM = "anchor"


def resolve_anchor(
    request: JobRequest, method: type[Method] | None, named: Model, lookup: Lookup
) -> Model:
    """Theta0. Where it is not the model `named` itself, training begins from `named`.

    Raises InvalidSpec where `anchor` means nothing, and where the base cannot be found any more.
    """
    if request.anchor == "model":
        return named
    if method is not None and method.kind != "training":
        raise InvalidSpec(
            f'anchor is "base", which is for methods that train; {method.name} trains nothing, and '
            "`model` says what it refers to. Leave anchor out.",
            param=_PARAM,
        )
    if request.continue_from is not None:
        raise InvalidSpec(
            'anchor is "base" and continue_from is given, whose theta0 stays what it is; leave one '
            "of them out.",
            param=_PARAM,
        )
    return _base_of(named, lookup)


def _base_of(named: Model, lookup: Lookup) -> Model:
    """Up the line of theta0s to a model that no job made."""
    model = named
    while model.job_id is not None:
        spec = lookup.spec_of(model.job_id)
        theta0 = None if spec is None else lookup.model(spec.theta0.id)
        if spec is None or theta0 is None:
            gone = "its job" if spec is None else spec.theta0.id
            raise InvalidSpec(
                f'anchor is "base", and {named.id} was made from {gone}, which is not there any '
                'more; train with "anchor": "model", or from a model whose base is known.',
                code="unknown_base",
                param=_PARAM,
            )
        model = theta0
    return model
