"""Named recipes: every one fits its method, its command and its source."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import ValidationError

from cli.main import app
from core.datasets.layouts import KNOWN_LAYOUTS
from core.learning.methods import registry
from core.learning.recipes import Recipe, UnknownRecipe, find_recipe, recipes
from core.learning.sources import wants_quick_gelu

RECIPES = recipes()
REPOSITORY = Path(__file__).parents[3]

SPLITS = {  # that the layouts' archives hold beside train
    "domainnet": {"test", "painting", "clipart", "infograph", "sketch"},
    "imagenet": {"test"},
    "imagenet-v2": {"imagenet-v2"},
    "imagenet-r": {"imagenet-r"},
    "imagenet-a": {"imagenet-a"},
    "imagenet-sketch": {"imagenet-sketch"},
}

# The official code: cs-giung/lipsum-ft, scripts/Lipsum-FT.py, its defaults and README commands.
OFFICIAL = {
    "learning_rate": 1e-5,
    "batch_size": 256,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
    "label_smoothing": 0.0,
    "crop_scale_min": 0.08,
    "flip_probability": 0.5,
    "precision": "bf16",
    "penalty_weight": 1.0,
    "n_texts": 80,
    "text_length": 8,
}


def require_fit(recipe: Recipe) -> None:
    """Raises unless the recipe's method takes its hyperparameters as they are."""
    resolved = registry()[recipe.method].resolve(recipe.hyperparameters, n_train=100_000)
    kept = {name: resolved[name] for name in recipe.hyperparameters}
    assert kept == recipe.hyperparameters


def test_names() -> None:
    assert list(RECIPES) == [
        "demo",
        "flyp/imagenet-vitb16",
        "paper/domainnet-vitb16",
        "paper/imagenet-vitb16",
        "r_adapter/imagenet-vitb16",
        "starft/imagenet-vitb16",
        "wise-ft/imagenet-vitb16",
    ]
    assert find_recipe("demo") == RECIPES["demo"]
    assert all(recipe.name == name for name, recipe in RECIPES.items())


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(UnknownRecipe) as caught:
        find_recipe("paper/../demo")
    assert "'paper/../demo'" in str(caught.value)
    assert all(name in str(caught.value) for name in RECIPES)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_fits_its_method(recipe: Recipe) -> None:
    require_fit(recipe)


@pytest.mark.parametrize(
    "changed",
    [
        {"hyperparameters": {"learning_rat": 1e-5}},
        {"hyperparameters": {"learning_rate": -1.0}},
        {"method": "lipsum_tf"},
    ],
)
def test_a_recipe_that_does_not_fit_is_found(changed: dict[str, Any]) -> None:
    bad = RECIPES["paper/domainnet-vitb16"].model_copy(update=changed)
    with pytest.raises((ValidationError, KeyError)):
        require_fit(bad)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_command_is_the_recipe(recipe: Recipe) -> None:
    """Read by the command line's own parser: the recipe by name, its base and its splits."""
    lipsum, command, *arguments = shlex.split(recipe.command)
    assert (lipsum, command) == ("lipsum", "train")
    parser = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    given = parser.make_context("train", arguments).params
    assert given["recipe"] == recipe.name
    assert not given["hyperparameters"] and given["method"] is None
    assert given["model"] == recipe.base.id
    assert given["seed"] == 0
    shifts = [pair.split("=", 1)[0] for pair in given["split"] or []]
    assert shifts == list(recipe.dataset.layouts[1:])


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_published_splits_are_those_of_the_archives(recipe: Recipe) -> None:
    assert set(recipe.dataset.layouts) <= set(KNOWN_LAYOUTS)
    layouts = recipe.dataset.layouts or ("domainnet",)  # the demo is drawn in its manner
    splits = set().union(*(SPLITS[layout] for layout in layouts))
    for row in recipe.published:
        assert set(row.accuracy) <= splits
        assert set(row.nll) <= set(row.accuracy)
    for layout in recipe.dataset.layouts:
        assert any(f"--layout {layout} " in command for command in recipe.dataset.prepare)


@pytest.mark.parametrize(
    ("name", "n_steps"), [("paper/domainnet-vitb16", 5000), ("paper/imagenet-vitb16", 50_000)]
)
def test_paper_recipes_are_the_official_settings(name: str, n_steps: int) -> None:
    recipe = RECIPES[name]
    # A validation every 1000 steps, as the official code has it.
    expected = OFFICIAL | {"n_steps": n_steps, "n_evaluations": n_steps // 1000}
    assert recipe.hyperparameters == expected
    assert recipe.method == "lipsum_ft"
    # What the recipe leaves out must not change the training.
    resolved = registry()["lipsum_ft"].resolve(recipe.hyperparameters, n_train=100_000)
    assert resolved["clip_norm"] is None
    assert resolved["warmup_steps"] is None
    assert resolved["class_balance"] == "none"
    assert resolved["n_steps"] == n_steps


def test_bases_say_whether_they_need_quick_gelu() -> None:
    for recipe in RECIPES.values():
        if recipe.base.open_clip is None:
            continue
        assert recipe.base.quick_gelu == wants_quick_gelu(*recipe.base.open_clip.split("/"))
        registered = f"lipsum base add {recipe.base.id.removeprefix('base:')}"
        assert recipe.base.register_with == f"{registered} {recipe.base.open_clip}"
    config = REPOSITORY / "core" / "demo" / "base" / "open_clip_config.json"
    model = json.loads(config.read_text())["model_cfg"]
    assert RECIPES["demo"].base.quick_gelu == model.get("quick_gelu", False)


def test_demo_recipe_is_the_demo() -> None:
    """The numbers of its committed result; `lipsum demo` takes its settings from here."""
    recipe = RECIPES["demo"]
    committed = json.loads((REPOSITORY / "docs" / "results" / "demo.json").read_text())
    measured = {
        (row["model"], row["split"], row["metric"]): row["value"]
        for row in committed["rows"]["lipsum_ft"]
        if row["seed"] == 0
    }
    assert recipe.published
    for row in recipe.published:
        for split, percent in row.accuracy.items():
            accuracy = measured[row.model, split, "accuracy"]
            assert percent == pytest.approx(100 * accuracy, abs=0.005)
        for split, nll in row.nll.items():
            assert nll == pytest.approx(measured[row.model, split, "nll"], abs=0.0005)
    assert f"{committed['seconds']} s" in (recipe.expected_time or "")


def test_recipes_are_closed_and_frozen() -> None:
    content = RECIPES["demo"].model_dump()
    with pytest.raises(ValidationError, match="temperature"):
        Recipe.model_validate(content | {"temperature": 1.0})
    with pytest.raises(ValidationError, match="frozen"):
        RECIPES["demo"].title = "mine"  # type: ignore[misc]


def test_reading_recipes_loads_no_torch() -> None:
    code = (
        "import sys; from core.learning.recipes import recipes; assert len(recipes()) > 1; "
        "print({'torch', 'open_clip', 'numpy'} & sys.modules.keys())"
    )
    arguments = [sys.executable, "-c", code]
    run = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
