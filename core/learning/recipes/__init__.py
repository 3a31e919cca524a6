"""Named settings of published runs: one TOML file, one recipe, taken by its path as its name.

Each file states its source, the numbers that were published for it, the time it took where that
is known, and the exact command. What this service does otherwise than the source is said under
`notes`; a number that was read in somebody else's table says so in its own `source`.

This module imports no torch: the API reads recipes too.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_FOLDER = Path(__file__).parent

Percent = Annotated[float, Field(ge=0, le=100)]
Hyperparameter = bool | int | float | str


class UnknownRecipe(ValueError):
    """No recipe has that name; the message lists those there are."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Base(_Part):
    """The model that is fine-tuned."""

    id: str = Field(pattern=r"^base:", description="Its id in this service.")
    open_clip: str | None = Field(None, description="ARCHITECTURE/TAG as open_clip lists it.")
    quick_gelu: bool = Field(
        description="Whether its weights need QuickGELU, which `lipsum base add` sees to."
    )
    register_with: str | None = Field(
        None, description="The operator's command; none where it is registered at the first start."
    )


class Dataset(_Part):
    """What is trained and scored on."""

    title: str
    layouts: tuple[str, ...] = Field(
        (), strict=False, description="Of `lipsum convert`: the first holds train, the rest shifts."
    )
    prepare: tuple[str, ...] = Field(strict=False, description="Commands that make the archives.")


class Published(_Part):
    """One row of a published table. Splits are named as the dataset's archives name them."""

    model: str = Field(description="As the results table of a job names it.")
    source: str = Field(description="Where the numbers stand.")
    accuracy: dict[str, Percent] = Field(description="Top-1 accuracy of each split, per cent.")
    nll: dict[str, float] = Field(default_factory=dict, description="In nats, of each split.")


class Recipe(_Part):
    """Settings of one run and what is known of it."""

    name: str = Field(pattern=r"^[a-z0-9_-]+(/[a-z0-9_-]+)?$")
    title: str
    source: str
    method: str = Field(description="Its name in `core.learning.methods.registry()`.")
    hyperparameters: dict[str, Hyperparameter] = Field(
        description="By the method's own names; what is left out has the method's default."
    )
    base: Base
    dataset: Dataset
    published: tuple[Published, ...] = Field((), strict=False)
    expected_time: str | None = Field(
        None, description="With the machine it was measured on; absent where no source says."
    )
    command: str = Field(description="FILE_ID and its like are what `lipsum push` printed.")
    notes: tuple[str, ...] = Field(
        (), strict=False, description="Where this service departs from the source, and why."
    )


def recipes() -> dict[str, Recipe]:
    """Every recipe by its name, in the order of their names."""
    names = sorted(
        path.relative_to(_FOLDER).with_suffix("").as_posix() for path in _FOLDER.rglob("*.toml")
    )
    return {name: _read(name) for name in names}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises `UnknownRecipe` with the list of names."""
    found = recipes()
    if name not in found:
        raise UnknownRecipe(f"there is no recipe {name!r}; the recipes are {', '.join(found)}")
    return found[name]


def _read(name: str) -> Recipe:
    with (_FOLDER / f"{name}.toml").open("rb") as file:
        return Recipe.model_validate({"name": name, **tomllib.load(file)})
