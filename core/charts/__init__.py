"""Charts of one job, defined once as Vega-Lite: the page fills in data as it comes, and the same
definition is drawn as PNG for documents. A comparison's charts are in `core.learning.comparison`.

Every definition has one named data set, "points", without values. Import a module only where a
chart is needed: altair takes half a second.
"""

from __future__ import annotations

import importlib
from typing import Any

NAMES = ("curves", "splits", "plane", "reliability")


def definition(name: str) -> dict[str, Any]:
    """The Vega-Lite definition of that chart. Raises KeyError for a name not in NAMES."""
    if name not in NAMES:
        raise KeyError(name)
    chart = importlib.import_module(f"core.charts.{name}").chart()
    found: dict[str, Any] = chart.to_dict()
    return found
