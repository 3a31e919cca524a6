"""The plots: sizes, ink, colours, labels; and what is left out for want of data."""

import io
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.learning.comparison.charts import charts, png, svg
from core.learning.comparison.document import Comparison
from core.learning.comparison.marks import COLOURS, NARROW, SHAPES, WIDE, Layout, models, wrapped
from core.learning.comparison.planes import distinct_curves
from core.learning.comparison.scatter import spread_out
from tests.unit.learning.comparison.conftest import World
from tests.unit.learning.comparison.jobs import compared


def pixels_of(content: bytes) -> np.ndarray:
    """Pixels (height, width, 3) of a PNG."""
    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def colours_in(pixels: np.ndarray) -> set[str]:
    return {
        "#{:02x}{:02x}{:02x}".format(*colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0)
    }


def many(comparison: Comparison, n: int) -> Comparison:
    """The same findings with n contenders, by copying the first under other names."""
    findings = comparison.findings
    copies = tuple(
        findings.contenders[0].model_copy(update={"name": f"c{i}", "label": f"contender {i}"})
        for i in range(n)
    )
    names = tuple(copy.name for copy in copies)
    ranking = findings.ranking.model_copy(
        update={"within": names, "outside": (), "best_id": names[0]}
    )
    update = {"contenders": copies, "ranking": ranking, "claims": ()}
    verdict = comparison.verdict.model_copy(update={"take": names[0]})
    return comparison.model_copy(
        update={"findings": findings.model_copy(update=update), "verdict": verdict}
    )


def test_every_plot_has_ink_and_none_is_cut(world: World, written: dict[str, bytes]) -> None:
    colours = {mark.colour for mark, _ in models(world.comparison)} - {"#000000"}
    assert len(colours) == 3
    for name in ("plane", "splits", "calibration", "cost"):
        pixels = pixels_of(written[f"{name}.png"])
        height, width, _ = pixels.shape
        assert 400 < width < 1700, name
        assert 400 < height < 2600, name
        dark = (pixels < 250).any(axis=2)
        assert 0.01 < dark.mean() < 0.5, name
        for edge in (dark[:8], dark[-8:], dark[:, :8], dark[:, -8:]):
            assert not edge.any(), name
        if name != "splits":  # its bars are lighter
            assert colours <= colours_in(pixels), name


@pytest.mark.parametrize(
    # A telephone of 360 pixels leaves 328 between the page's margins.
    ("layout", "widest"),
    [(WIDE, 800), (NARROW, 328)],
    ids=["wide", "narrow"],
)
def test_fourteen_contenders_are_all_named_in_every_chart(
    world: World, layout: Layout, widest: int
) -> None:
    for name, chart in charts(many(world.comparison, 14), layout).items():
        picture = svg(name, chart)
        for number in range(14):
            assert f">contender {number}<" in picture, (name, number)
        assert picture.startswith("<svg role=")
        assert "http" not in picture
        assert float(picture.split('width="')[1].split('"')[0]) <= widest, name


def test_a_contender_looks_the_same_in_every_chart_and_rank(world: World) -> None:
    looks = {mark.name: (mark.colour, mark.shape) for mark, _ in models(world.comparison)}
    findings = world.comparison.findings
    turned = findings.ranking.model_copy(
        update={"within": ("ft", "lipsum_ft"), "outside": ("lipsum_ft+wise_ft",)}
    )
    other = world.comparison.model_copy(
        update={"findings": findings.model_copy(update={"ranking": turned})}
    )
    assert {mark.name: (mark.colour, mark.shape) for mark, _ in models(other)} == looks
    assert [mark.name for mark, _ in models(other)][:2] == ["zero_shot", "ft"]


def test_looks_do_not_repeat_before_seventy_contenders() -> None:
    pairs = [(COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)]) for i in range(70)]
    assert len(set(pairs)) == 70


# Full deficiency of one cone: Machado et al., "A physiologically-based model for simulation of
# color vision deficiency", IEEE TVCG 2009; rows act on linear RGB.
VISION = {
    "all cones": np.eye(3),
    "no red": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "no green": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "no blue": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


@pytest.mark.parametrize("vision", VISION)
def test_colours_stay_apart_for_every_eye(vision: str) -> None:
    def lab(colour: str) -> np.ndarray:
        encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
        seen = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
        to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        xyz = np.array(to_xyz) @ seen / [0.9505, 1.0, 1.089]
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    for a, b in combinations([*COLOURS, "#000000"], 2):
        assert np.linalg.norm(lab(a) - lab(b)) > 15, (a, b)


@pytest.mark.parametrize(
    ("wanted", "rooms", "height"),
    [
        ([10.0, 12.0, 14.0, 300.0], [18.0] * 4, 400.0),
        ([390.0, 395.0, 399.0], [18.0, 32.0, 18.0], 400.0),
        ([200.0] * 14, [32.0] * 14, 448.0),
        ([5.0, 5.0], [40.0, 40.0], 60.0),
    ],
)
def test_labels_keep_their_order_and_never_overlap(
    wanted: list[float], rooms: list[float], height: float
) -> None:
    placed = spread_out(wanted, rooms, height)
    for (a, room_a), (b, room_b) in pairwise(zip(placed, rooms, strict=True)):
        assert b - a >= (room_a + room_b) / 2 - 1e-9
    assert placed[0] >= rooms[0] / 2 - 1e-9
    assert placed[-1] <= max(height, sum(rooms)) - rooms[-1] / 2 + 1e-9


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread_out([50.0, 100.0, 200.0], [18.0] * 3, 400.0) == [50.0, 100.0, 200.0]


def test_long_labels_are_wrapped_and_cut() -> None:
    label = "Knowledge distillation from zero-shot with a very long list of settings"
    assert wrapped(label, 30, 3) == [
        "Knowledge distillation from",
        "zero-shot with a very long",
        "list of settings",
    ]
    assert wrapped(label, 30, 2)[-1].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert max(map(len, wrapped("x" * 200, 30, 2))) <= 30
    assert wrapped("", 30, 2) == [""]


def test_a_curve_that_two_contenders_hold_is_drawn_once(world: World) -> None:
    contenders = world.comparison.findings.contenders
    assert all(len(contender.curve) == 4 for contender in contenders)
    assert [c.name for c in distinct_curves(contenders)] == ["ft", "lipsum_ft"]
    # A coarse curve is part of the fine one, whichever comes first.
    coarse = contenders[2].model_copy(update={"curve": contenders[2].curve[::3]})
    drawn = distinct_curves([coarse, *contenders[:2]])
    assert [c.name for c in drawn] == ["ft", "lipsum_ft"]


def test_charts_without_data_are_left_out(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {"ft": [{"test": 0.8}]}, {"test": 0.7}, n=60)
    assert list(charts(comparison, WIDE)) == ["splits", "calibration", "cost"]
    contender = comparison.findings.contenders[0].model_copy(update={"costs": ()})
    findings = comparison.findings.model_copy(update={"contenders": (contender,)})
    assert list(charts(comparison.model_copy(update={"findings": findings}), NARROW)) == [
        "splits",
        "calibration",
    ]
    for name, chart in charts(comparison, WIDE).items():
        assert (pixels_of(png(name, chart, "what was compared")) < 250).any()
