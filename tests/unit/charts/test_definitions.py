"""The charts' definitions, drawn with points as the page gives them."""

from __future__ import annotations

import copy
import io
import json
import re
from typing import Any

import numpy as np
import pytest
import vl_convert
from PIL import Image

from core.charts import NAMES, definition
from core.charts.look import SERIES, ZERO_SHOT
from core.charts.plane import KINDS

Points = list[dict[str, Any]]

CURVES: Points = [
    {"step": step, "value": value / (step + 1), "series": series, "kind": kind}
    for series, kind, value in (("loss", "loss", 2.0), ("val (ID)", "id", 80.0))
    for step in range(0, 50, 10)
]
SPLITS: Points = [
    {"split": split, "model": model, "value": v, "low": v - 2, "high": v + 2, "place": place}
    for place, (split, values) in enumerate({"test": (79, 82), "night": (74, 65)}.items())
    for model, v in zip(("zero-shot", "this model"), values, strict=True)
]
PLANE: Points = [
    {"id": 79.0, "shift": 85.0, "kind": "zero-shot", "label": "zero-shot", "order": 0},
    {"id": 81.8, "shift": 84.0, "kind": "interpolation", "label": "alpha 0.5", "order": 0.5},
    {"id": 82.3, "shift": 78.6, "kind": "fine-tuned", "label": "fine-tuned", "order": 1},
    {"id": 81.8, "shift": 84.0, "kind": "shown", "label": "shown: alpha 0.5", "order": None},
]
RELIABILITY: Points = [
    {"confidence": c, "accuracy": c - lead, "model": model, "n": 100}
    for model, lead in (("zero-shot", 0.0), ("this model", 0.1))
    for c in (0.3, 0.6, 0.9)
]
POINTS = {"curves": CURVES, "splits": SPLITS, "plane": PLANE, "reliability": RELIABILITY}


def filled(name: str, points: Points) -> dict[str, Any]:
    return {**definition(name), "datasets": {"points": copy.deepcopy(points)}}


def drawn(name: str, points: Points) -> str:
    """As SVG."""
    return str(vl_convert.vegalite_to_svg(filled(name, points)))


def colours(image: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}", image))


def named_data(part: Any) -> set[str]:
    """Names of the data sets that a definition reads."""
    if isinstance(part, list):
        return set().union(*map(named_data, part))
    if not isinstance(part, dict):
        return set()
    own = {part["data"]["name"]} if "name" in part.get("data", {}) else set()
    return own.union(*map(named_data, part.values()))


def fields(part: Any) -> set[str]:
    """Names of the fields that a definition reads of `points`."""
    if isinstance(part, list):
        return set().union(*map(fields, part))
    if not isinstance(part, dict):
        return set()
    if "sequence" in part.get("data", {}):
        return set()
    own = {part["field"]} if "field" in part else set()
    made = {each["as"] for each in part.get("transform", ()) if "calculate" in each}
    return own.union(*map(fields, part.values())) - made


def test_every_chart_is_tried_here() -> None:
    assert tuple(POINTS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_only_the_points_are_left_to_fill_in(name: str) -> None:
    found = definition(name)
    assert named_data(found) == {"points"}
    assert "datasets" not in found
    assert found["width"] == "container"
    assert fields(found) <= set(POINTS[name][0])


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_shows_what_it_is_given(name: str) -> None:
    image = drawn(name, POINTS[name])
    by = {"curves": "series", "plane": "kind"}.get(name, "model")
    for text in {point[by] for point in POINTS[name]}:
        assert f">{text}</text>" in image, text


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_lies_on_whatever_is_behind_it(name: str) -> None:
    picture = vl_convert.vegalite_to_png(filled(name, POINTS[name]))
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))
    assert (pixels[..., 3] == 0).mean() > 0.5  # no ground of its own, for dark pages
    assert (pixels[..., 3] > 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_series_have_colours_that_everybody_tells_apart(name: str) -> None:
    text = json.dumps(definition(name))
    assert colours(text) <= {*SERIES, ZERO_SHOT}


def test_a_loss_has_a_line_and_no_dots_to_see() -> None:
    image = drawn("curves", CURVES)
    opacities = re.findall(r'aria-roledescription="point"[^>]*opacity="([01])"', image)
    assert sorted(opacities) == ["0"] * 5 + ["1"] * 5


def test_splits_stay_in_their_order_and_a_long_name_does_not_push_the_chart_away() -> None:
    other = {"test": "zebra " * 20, "night": "ant"}
    points = [{**point, "split": other[point["split"]]} for point in SPLITS]
    image = drawn("splits", points)
    names = re.findall(r">(zebra[^<]*|ant)</text>", image)
    assert names[0].startswith("zebra") and names[0].endswith("…") and names[1] == "ant"


def test_the_line_goes_by_alpha_and_leaves_out_what_does_not_lie_on_it() -> None:
    lines = set()
    for points in (PLANE, PLANE[:3], PLANE[::-1]):
        image = drawn("plane", points)
        found = re.findall(r'aria-roledescription="line mark"[^>]* d="([^"]*)"', image)
        lines |= {line for line in found if "L" in line}
    assert len(lines) == 1
    assert lines.pop().count("L") == len(PLANE) - 2


def test_points_of_the_plane_differ_in_more_than_colour() -> None:
    found = json.dumps(definition("plane"))
    shapes = re.search(r'"shape": \{.*?"range": (\[[^\]]*\])', found)
    assert shapes is not None
    assert len(set(json.loads(shapes[1]))) == len(KINDS)


def test_an_unknown_chart_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        definition("pie")
