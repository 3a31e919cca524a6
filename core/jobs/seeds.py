"""The seeds of a job's runs: as asked for, or those of the models it reads."""

from __future__ import annotations

from core.errors import InvalidSpec
from core.jobs.inputs import takes_one
from core.jobs.request import JobRequest
from core.learning.methods.base import Method
from core.records.tables import Model

DEFAULT_SEED = 0  # the same request gives the same job
LARGEST_SEED = 2**31 - 1


def resolve_seeds(request: JobRequest, method: type[Method], inputs: list[Model]) -> list[int]:
    """One seed for each run. Raises InvalidSpec for what is too large or means nothing."""
    if method.kind != "training" and request.n_seeds != 1:
        raise InvalidSpec(
            f"n_seeds is {request.n_seeds}; {method.name} trains nothing and takes the seeds of "
            "the models it reads, so it must be 1.",
            param="n_seeds",
        )
    if takes_one(method) and len(inputs) > 1:
        return _seeds_of_models(request, inputs)
    own = next((model.seed for model in inputs if model.seed is not None), DEFAULT_SEED)
    first = own if request.seed is None else request.seed
    if first + request.n_seeds - 1 > LARGEST_SEED:
        raise InvalidSpec(
            f"seed is {first} and n_seeds {request.n_seeds}; the last seed must be at most "
            f"{LARGEST_SEED}.",
            param="seed",
        )
    return [first + number for number in range(request.n_seeds)]


def _seeds_of_models(request: JobRequest, inputs: list[Model]) -> list[int]:
    own = [DEFAULT_SEED if model.seed is None else model.seed for model in inputs]
    if request.seed is not None:
        raise InvalidSpec(
            f"seed is {request.seed}, and the inputs are {len(own)} models with seeds of their own "
            f"({', '.join(map(str, own))}), which the results carry; leave seed out.",
            param="seed",
        )
    return own
