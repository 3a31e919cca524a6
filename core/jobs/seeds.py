"""The seeds of a job's runs: as asked for, or those of the models it reads."""

from __future__ import annotations

from core.errors import InvalidSpec
from core.jobs.continuing import seeds_used
from core.jobs.inputs import takes_one
from core.jobs.lookup import Lookup
from core.jobs.request import JobRequest
from core.learning.methods.base import Method
from core.records.tables import Model

DEFAULT_SEED = 0  # the same request gives the same job
LARGEST_SEED = 2**31 - 1


def resolve_seeds(
    request: JobRequest,
    method: type[Method],
    inputs: list[Model],
    starts: list[Model],
    lookup: Lookup,
) -> list[int]:
    """One seed for each run. Raises InvalidSpec for what is too large or means nothing.

    A job that continues another has as many as there are models to continue, and draws anew.
    """
    if method.kind != "training" and request.n_seeds != 1:
        raise InvalidSpec(
            f"n_seeds is {request.n_seeds}; {method.name} trains nothing and takes the seeds of "
            "the models it reads, so it must be 1.",
            param="n_seeds",
        )
    if takes_one(method) and len(inputs) > 1:
        return _seeds_of_models(request, inputs)
    if request.continue_from is not None:
        own = max(seeds_used(request.continue_from, lookup)) + 1
    else:
        own = next((model.seed for model in inputs if model.seed is not None), DEFAULT_SEED)
    first = own if request.seed is None else request.seed
    n_seeds = _number(request, starts)
    if first + n_seeds - 1 > LARGEST_SEED:
        raise InvalidSpec(
            f"seed is {first} and n_seeds {n_seeds}; the last seed must be at most {LARGEST_SEED}.",
            param="seed",
        )
    return [first + number for number in range(n_seeds)]


def one_for_each(starts: list[Model], seeds: list[int]) -> list[Model]:
    """What each seed begins from: its own model, or the one that all have."""
    return starts * len(seeds) if len(starts) == 1 else starts


def _number(request: JobRequest, starts: list[Model]) -> int:
    if len(starts) < 2:
        return request.n_seeds
    if "n_seeds" in request.model_fields_set and request.n_seeds != len(starts):
        raise InvalidSpec(
            f"n_seeds is {request.n_seeds}, and {request.continue_from} made {len(starts)} models "
            "that are continued, one for each of its seeds; leave n_seeds out, or name one of the "
            f"models: {', '.join(model.id for model in starts)}.",
            param="n_seeds",
        )
    return len(starts)


def _seeds_of_models(request: JobRequest, inputs: list[Model]) -> list[int]:
    own = [DEFAULT_SEED if model.seed is None else model.seed for model in inputs]
    if request.seed is not None:
        raise InvalidSpec(
            f"seed is {request.seed}, and the inputs are {len(own)} models with seeds of their own "
            f"({', '.join(map(str, own))}), which the results carry; leave seed out.",
            param="seed",
        )
    return own
