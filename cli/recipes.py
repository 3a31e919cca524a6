"""`lipsum recipes`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from core.errors import NotFound
from core.learning.recipes import UnknownRecipe, find_recipe, recipes


def show_recipes() -> None:
    """Every recipe with its method and source."""
    table = Table("recipe", "method", "what it is", "source")
    for recipe in recipes().values():
        table.add_row(recipe.name, recipe.method, recipe.title, recipe.source)
    Console(highlight=False).print(table)


def show_recipe(name: str) -> None:
    """One recipe: settings, published numbers, commands and what is done otherwise here."""
    try:
        recipe = find_recipe(name)
    except UnknownRecipe as error:
        raise NotFound(f"{error}.", code="unknown_recipe") from error
    console = Console(highlight=False, markup=False)
    console.print(f"{recipe.title}\n{recipe.source}\n")
    settings = Table("hyperparameter", "value", title=f"{recipe.method} on {recipe.base.id}")
    for knob, value in recipe.hyperparameters.items():
        settings.add_row(knob, str(value))
    console.print(settings)
    for row in recipe.published:
        published = Table("split", "top-1 %", "NLL", title=f"{row.model}: {row.source}")
        for split, accuracy in row.accuracy.items():
            published.add_row(split, f"{accuracy:.2f}", str(row.nll.get(split, "")))
        console.print(published)
    if recipe.expected_time:
        console.print(f"time: {recipe.expected_time}")
    for note in recipe.notes:
        console.print(f"- {note}")
    commands = [recipe.base.register_with, *recipe.dataset.prepare, recipe.command]
    console.print("\n" + "\n".join(command for command in commands if command), soft_wrap=True)
