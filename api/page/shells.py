"""The HTML of each view: the same for everybody, so it tells nothing and asks for no key."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.page.assets import Asset, asset, load_assets
from api.page.views import SECTIONS, VIEWS, View

TEMPLATES = Path(__file__).parent / "templates"


@cache
def shells() -> dict[str, Asset]:
    """By the view's path."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return {view.path: _shell(environment, view) for view in VIEWS}


def _shell(environment: Environment, view: View) -> Asset:
    assets = load_assets()
    own_style = f"css/{view.module}.css"
    html = environment.get_template("shell.html.j2").render(
        view=view,
        sections=SECTIONS,
        version=assets.version,
        modules=assets.imported(f"js/pages/{view.module}.js"),
        own_style=own_style if own_style in assets.files else None,
    )
    return asset("text/html", html.encode())
