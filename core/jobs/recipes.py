"""A request that names a recipe, as the request it stands for."""

from __future__ import annotations

from core.errors import InvalidSpec
from core.jobs.request import JobRequest, MethodRequest
from core.learning.recipes import UnknownRecipe, find_recipe

_EXACT = "paper/"  # recipes that are a published run's settings and nothing else


def with_recipe(request: JobRequest) -> JobRequest:
    """The request with its recipe's method and hyperparameters; its own hyperparameters win.

    Raises InvalidSpec for an unknown recipe, another method beside it, and hyperparameters
    beside a recipe that is a paper's.
    """
    if request.recipe is None:
        return request
    try:
        recipe = find_recipe(request.recipe)
    except UnknownRecipe as error:
        raise InvalidSpec(f"{error}.", code="unknown_recipe", param="recipe") from error
    asked = request.method.type if "method" in request.model_fields_set else recipe.method
    if asked != recipe.method:
        raise InvalidSpec(
            f"The recipe {recipe.name} is of the method {recipe.method} and method.type is "
            f"{asked}; leave method out.",
            code="recipe_differs",
            param="method.type",
        )
    options = request.method.options()
    own = {**(request.hyperparameters or {}), **(options.get("hyperparameters") or {})}
    if own and recipe.name.startswith(_EXACT):
        raise InvalidSpec(
            f"The recipe {recipe.name} is exactly the paper's, and hyperparameters beside it "
            f"({', '.join(sorted(own))}) would change it. Leave them out, or give the method "
            "and all hyperparameters without the recipe.",
            code="recipe_is_exact",
            param="hyperparameters",
        )
    method = MethodRequest.model_validate(
        {
            "type": recipe.method,
            recipe.method: {**options, "hyperparameters": {**recipe.hyperparameters, **own}},
        }
    )
    return request.model_copy(update={"method": method, "hyperparameters": None})
