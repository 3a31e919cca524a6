"""One file, one method: its formula, what trains, what is frozen, its source.

Being in this folder (training) or in `core.learning.combine` (after training) registers a
method. The files import without torch, so that the API can validate a job's hyperparameters
with the very classes the trainer uses; a loss calls methods of the tensors it is given.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from core.learning.methods.base import Method


@cache
def registry() -> dict[str, type[Method]]:
    """Every method and combination by its name, in the order of their names."""
    found: dict[str, type[Method]] = {}
    for package_name in ("core.learning.methods", "core.learning.combine"):
        package = importlib.import_module(package_name)
        for module_info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package_name}.{module_info.name}")
            for thing in vars(module).values():
                if _is_method_of(thing, module.__name__):
                    found[thing.name] = thing
    return dict(sorted(found.items()))


def described() -> list[dict[str, Any]]:
    """The registry as JSON: what each is for, and its hyperparameters' schema."""
    return [
        {
            "name": method.name,
            "title": method.title,
            "kind": method.kind,
            "description": method.description,
            "citation": method.citation,
            "fits": method.fits(),
            "inputs": {"fewest": method.n_inputs[0], "most": method.n_inputs[1]},
            "output": method.output,
            "hyperparameters": method.Hyperparameters.model_json_schema(),
        }
        for method in registry().values()
    ]


def _is_method_of(thing: object, module_name: str) -> bool:
    return (
        isinstance(thing, type)
        and issubclass(thing, Method)
        and thing.__module__ == module_name
        and "name" in vars(thing)
    )
