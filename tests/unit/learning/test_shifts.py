"""The built-in shifts against their published definitions, and on the demo's base."""

import colorsys
import hashlib
import io
import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from scipy import stats

from core.demo.base_files import BASE, load_tokenizer, to_pixels
from core.demo.world import CLASSES, TEMPLATES, render
from core.learning.shifts import (
    CORRUPTIONS,
    FAMILIES,
    SEVERITIES,
    blur,
    corrupt,
    parse_shift_name,
    shift_name,
)
from core.learning.shifts.contact_sheet import contact_sheet
from core.learning.shifts.ice import ice
from core.learning.shifts.pixels import length
from core.learning.shifts.plasma import plasma

UNRANDOM = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}


def photo(side: int = 36, label: int = 3) -> Image.Image:
    return render("real", "test", label, 0, size=side)


def flat(level: int, side: int = 224) -> Image.Image:
    return Image.new("RGB", (side, side), (level, level, level))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float64) / 255


def changed(image: Image.Image, name: str, severity: int, key: str = "a") -> np.ndarray:
    return pixels(corrupt(image, name, severity, seed=0, key=key))


def draws(number: int = 0) -> np.random.Generator:
    return np.random.default_rng(number)


def test_the_papers_fifteen_in_four_families() -> None:
    assert len(set(CORRUPTIONS)) == 15
    assert [len(names) for names in FAMILIES.values()] == [3, 4, 4, 4]
    names = [shift_name(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    assert len(set(names)) == 75
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name) for name in names)
    assert [parse_shift_name(n) for n in names] == [(c, s) for c in CORRUPTIONS for s in SEVERITIES]
    assert shift_name("gaussian_noise", 3) == "corruption.gaussian_noise.3"


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("sketch", "'sketch' names no built-in shift"),
        ("corruption.fog", "'corruption.fog' names no built-in shift"),
        ("corruption.fog.6", "1, 2, 3, 4, 5"),
        ("corruption.fog.03", "1, 2, 3, 4, 5"),
        ("corruption.fog.3.3", "1, 2, 3, 4, 5"),
        ("corruption.smog.3", "unknown corruption 'smog'; choose one of gaussian_noise, shot"),
    ],
)
def test_other_splits_are_not_shifts(split: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_shift_name(split)


def test_what_is_unknown_is_refused_with_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"unknown corruption 'rain'.*snow, frost, fog"):
        corrupt(photo(), "rain", 1, seed=0, key="a")
    with pytest.raises(ValueError, match=r"unknown severity 0; choose one of 1, 2, 3, 4, 5"):
        corrupt(photo(), "snow", 0, seed=0, key="a")
    with pytest.raises(ValueError, match=r"mode is 'L'; convert it to 'RGB'"):
        corrupt(photo().convert("L"), "snow", 1, seed=0, key="a")


def test_names_are_known_without_torch_or_scipy() -> None:
    code = "import sys, core.learning.shifts; print({'torch', 'scipy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_pixels_are_a_function_of_the_arguments_in_any_order_on_any_thread() -> None:
    cases = [(name, key) for name in CORRUPTIONS for key in ("a", "b", "c")]

    def digest(case: tuple[str, str]) -> str:
        done = corrupt(photo(), case[0], 4, seed=0, key=case[1])
        return hashlib.sha256(done.tobytes()).hexdigest()

    before = np.random.get_state()[1].copy()
    alone = {case: digest(case) for case in cases}
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(digest, reversed(cases)))
    assert together == [alone[case] for case in reversed(cases)]
    assert np.array_equal(np.random.get_state()[1], before)
    for name in CORRUPTIONS:
        other_seed = corrupt(photo(), name, 4, seed=1, key="a")
        seen = {alone[name, "a"], alone[name, "b"], alone[name, "c"]}
        seen.add(hashlib.sha256(other_seed.tobytes()).hexdigest())
        assert len(seen) == (1 if name in UNRANDOM else 4), name


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 33), (36, 36), (90, 30), (225, 260)])
def test_any_size_stays_as_it_was(size: tuple[int, int]) -> None:
    image = Image.fromarray(draws().integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    for name in CORRUPTIONS:
        for severity in (1, 5):
            done = corrupt(image, name, severity, seed=0, key="a")
            assert (done.size, done.mode) == (size, "RGB"), name


@pytest.mark.parametrize("side", [36, 224])
def test_every_corruption_takes_an_image_further_from_itself(side: int) -> None:
    images = [photo(side, label) for label in (0, 7, 13)]
    for name in CORRUPTIONS:
        far = [
            np.mean([np.square(changed(i, name, s) - pixels(i)).mean() for i in images])
            for s in SEVERITIES
        ]
        assert far[0] > 0, name
        # As published, snow of severity 3 has rarer flakes than that of 2, and frost from 4 on
        # covers more by letting less of the image through, not by more ice.
        growing = {"snow": (0, 1, 3, 4), "frost": (0, 1, 2)}.get(name, range(5))
        assert all(np.diff([far[i] for i in growing]) > 0), (name, far)
        assert far[4] > far[0], name


def test_a_larger_image_is_corrupted_at_224() -> None:
    image = photo(448)
    small = image.resize((224, 224), Image.Resampling.BICUBIC)
    for name in ("gaussian_noise", "defocus_blur"):
        expected = corrupt(small, name, 3, seed=0, key="a")
        expected = expected.resize((448, 448), Image.Resampling.BICUBIC)
        assert corrupt(image, name, 3, seed=0, key="a").tobytes() == expected.tobytes()


def test_lengths_lie_between_a_pixel_and_the_side() -> None:
    for side in (1, 36, 100, 224):
        image = np.zeros((side, side + 5, 3), dtype=np.float32)
        assert length(1, image) == 1
        assert length(224, image) == pytest.approx(side)
    assert length(10, np.zeros((36, 36, 3), np.float32)) == pytest.approx(4.594, abs=1e-3)


# Noise.


def test_noise_has_the_published_strength() -> None:
    for severity, deviation in zip((1, 2), (0.08, 0.12), strict=True):  # others are clipped
        noise = changed(flat(128), "gaussian_noise", severity) - 128 / 255
        assert noise.std() == pytest.approx(deviation, rel=0.01)
        assert abs(noise.mean()) < 0.001
        assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02
    for severity, photons in zip(SEVERITIES, (60, 25, 12, 5, 3), strict=True):
        counts = changed(flat(51), "shot_noise", severity) * photons
        seen = stats.poisson(0.2 * photons).pmf(range(photons))
        seen = np.append(seen, 1 - seen.sum())  # more than white is white
        mean = seen @ np.arange(photons + 1)
        assert counts.mean() == pytest.approx(mean, rel=0.02)
        assert counts.var() == pytest.approx(seen @ (np.arange(photons + 1) - mean) ** 2, rel=0.03)
    for severity, share in zip(SEVERITIES, (0.03, 0.06, 0.09, 0.17, 0.27), strict=True):
        values = changed(flat(128), "impulse_noise", severity)
        assert (values == 0).mean() == pytest.approx(share / 2, rel=0.05)
        assert (values == 1).mean() == pytest.approx(share / 2, rel=0.05)


# Blur.


@pytest.mark.parametrize("side", [36, 224])
def test_blurs_leave_a_flat_image_alone(side: int) -> None:
    for name in (*FAMILIES["blur"], "elastic_transform", "pixelate"):
        for severity in (1, 5):
            done = changed(flat(90, side), name, severity)
            assert np.abs(done - 90 / 255).max() <= 1 / 255, name


@pytest.mark.parametrize(("severity", "radius", "edge"), [(1, 3, 0.1), (3, 6, 0.5), (5, 10, 0.5)])
def test_defocus_is_a_disk(severity: int, radius: float, edge: float) -> None:
    # A disk scales a wave by the wave's mean over the disk, which is found here by summing.
    across = (np.arange(-500, 501) / 500) * radius
    y, x = np.meshgrid(across, across)
    inside = np.hypot(y, x) <= radius
    places = np.arange(224) + 0.5
    for cycles in (4, 9):
        frequency = 2 * np.pi * cycles / 224
        wave = np.broadcast_to(np.cos(frequency * places)[:, None, None], (224, 224, 3))
        factor = np.cos(frequency * y[inside]).mean() * math.exp(-((frequency * edge) ** 2) / 2)
        done = blur.defocus_blur(wave.astype(np.float32), severity, draws())
        np.testing.assert_allclose(done, factor * wave, atol=0.01)


def test_motion_is_a_fading_streak_to_one_side() -> None:
    point = np.zeros((224, 224), dtype=np.float32)
    point[100, 100] = 1
    weights = np.exp(-(np.arange(21) ** 2) / (2 * 3**2))
    expected = np.zeros((224, 224))
    expected[100, 100:121] = weights / weights.sum()
    np.testing.assert_allclose(blur.streaked(point, 10, 3, 0.0), expected, atol=1e-6)
    expected = np.zeros((224, 224))
    expected[100:121, 100] = weights / weights.sum()
    np.testing.assert_allclose(blur.streaked(point, 10, 3, 90.0), expected, atol=1e-6)


def test_glass_reaches_no_further_than_its_exchanges_and_blurs() -> None:
    step = np.zeros((224, 224, 3), dtype=np.float32)
    step[:, 112:] = 1
    for severity, (deviation, farthest, rounds) in ((1, (0.7, 1, 2)), (5, (1.5, 4, 2))):
        done = blur.glass_blur(step, severity, draws())
        reach = math.ceil(farthest * rounds + 2 * 4 * deviation)
        assert np.array_equal(done[:, : 112 - reach], step[:, : 112 - reach])
        assert done[:, 112 - farthest * rounds : 112].max() > 0.05
        assert done[:, 112 + reach :].min() > 1 - 1e-5
        # A streak of one row would mean that rows are not drawn on their own.
        assert done[:, 112].std() > 0.02


def test_zoom_is_the_mean_of_the_published_enlargements() -> None:
    across = (np.arange(224) - 111.5) / 400
    ramp = np.broadcast_to(0.5 + across[:, None, None], (224, 224, 3)).astype(np.float32)
    published = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
    for severity, (end, step) in zip(SEVERITIES, published, strict=True):
        flatter = np.mean([1.0, *(1 / np.arange(1, end, step))])
        done = blur.zoom_blur(ramp, severity, draws())
        # Each enlargement is rounded to eight bits.
        np.testing.assert_allclose(done[:, 7, 1], 0.5 + across * flatter, atol=0.6 / 255)


# Weather.


def test_snow_whitens_black_by_its_published_share() -> None:
    for severity, remains in ((1, 0.8), (2, 0.7)):  # later ones leave no gap between flakes
        done = changed(flat(0), "snow", severity)
        assert done.min() == pytest.approx((1 - remains) * 0.5, abs=1 / 255)
        assert done.max() > 0.6


def test_drawn_ice_is_as_bright_and_as_rough_as_photographs_of_ice() -> None:
    panes = [ice((224, 224), draws(number)) for number in range(8)]
    # The six photographs behind ImageNet-C: means 0.35 to 0.81, deviations 0.08 to 0.17.
    assert 0.45 < np.mean(panes) < 0.65
    assert 0.08 < np.mean([pane.std() for pane in panes]) < 0.17
    black = pixels(corrupt(flat(0), "frost", 5, seed=0, key="a"))
    assert black.min() >= 0.75 * 0.2 * 0.88 - 1 / 255
    assert black.max() <= 0.75 + 1 / 255


def test_fog_keeps_the_brightest_value() -> None:
    for severity, thickness in zip(SEVERITIES, (1.5, 2, 2.5, 2.5, 3), strict=True):
        done = changed(flat(204), "fog", severity)
        assert done.max() <= 0.8 + 1 / 255
        assert done.min() >= 0.8 * 0.8 / (0.8 + thickness) - 1 / 255
    cloud = plasma((256, 512), 2, draws())
    assert (cloud.min(), cloud.max()) == (0, 1)
    assert np.array_equal(cloud[:, :256], cloud[:, 256:])
    seam = np.abs(cloud[:, 255] - cloud[:, 256]).mean()
    assert seam < 2 * np.abs(np.diff(cloud[:, :256], axis=1)).mean()


def test_brightness_changes_the_value_alone() -> None:
    colours = draws().integers(0, 256, (6, 6, 3), dtype=np.uint8)
    colours[0, 0] = 0
    done = changed(Image.fromarray(colours), "brightness", 3)
    for before, after in zip(colours.reshape(-1, 3) / 255, done.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.3))
        np.testing.assert_allclose(after, expected, atol=0.51 / 255)


# Digital.


def test_contrast_shrinks_towards_each_channels_mean() -> None:
    before = pixels(photo())
    mean = before.mean(axis=(0, 1))
    for severity, share in zip(SEVERITIES, (0.4, 0.3, 0.2, 0.1, 0.05), strict=True):
        expected = (before - mean) * share + mean
        np.testing.assert_allclose(
            changed(photo(), "contrast", severity), expected, atol=0.51 / 255
        )


@pytest.mark.parametrize("side", [36, 224])
def test_elastic_moves_pixels_as_far_as_published(side: int) -> None:
    ramp = np.tile(np.linspace(0, 1, side), (side, 1))
    image = Image.fromarray(np.rint(np.stack([ramp] * 3, axis=-1) * 255).astype(np.uint8))
    inside = slice(side // 6, -(side // 6))  # borders mirror
    y, x = np.indices((side, side))[:, inside, inside].reshape(2, -1)
    plane = np.column_stack([x, y, np.ones_like(x)])
    found = []
    for key in "abcdefgh":
        moved = changed(image, "elastic_transform", 5, key)[inside, inside, 0].ravel() * (side - 1)
        found.append((moved - plane @ np.linalg.lstsq(plane, moved, rcond=None)[0]).std())
    # Uniform noise of amplitude 0.12 * 244 after a Gaussian blur of 0.01 * 244.
    at_224 = 0.12 / 0.01 / math.sqrt(12 * math.pi)
    expected = at_224 ** (math.log(side) / math.log(224))
    assert np.mean(found) == pytest.approx(expected, rel=0.05)


def test_pixelate_makes_blocks() -> None:
    done = changed(photo(40), "pixelate", 5)
    blocks = pixels(photo(40)).reshape(10, 4, 10, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(done, blocks.repeat(4, axis=0).repeat(4, axis=1), atol=1 / 255)


def test_jpeg_is_the_codecs_own() -> None:
    for severity, quality in zip(SEVERITIES, (25, 18, 15, 10, 7), strict=True):
        buffer = io.BytesIO()
        photo().save(buffer, "JPEG", quality=quality)
        expected = np.asarray(Image.open(buffer))
        done = corrupt(photo(), "jpeg_compression", severity, seed=0, key="a")
        assert np.array_equal(np.asarray(done), expected)


# All of them.


def test_a_contact_sheet_of_some_corruptions_of_named_images() -> None:
    sheet = contact_sheet([photo()], seed=3, keys=["digest"], names=["fog", "snow"])
    assert sheet.size == (110 + 6 * 116, 2 * 116)
    second = np.asarray(sheet)[116 : 116 + 108, 110 + 116 :][:, :108][::3, ::3]
    expected = corrupt(photo(), "snow", 1, seed=3, key="digest")
    assert np.array_equal(second, np.asarray(expected))


def test_the_contact_sheet_shows_the_image_and_five_severities() -> None:
    sheet = contact_sheet([photo(), photo(120)], seed=0)
    assert sheet.size == (110 + 6 * 116, 15 * 116)
    first = np.asarray(sheet)[:108, 110 : 110 + 108][::3, ::3]
    assert np.array_equal(first, np.asarray(photo()))
    strongest = np.asarray(sheet)[:108, 110 + 5 * 116 :][:108, :108][::3, ::3]
    expected = corrupt(photo(), "gaussian_noise", 5, seed=0, key="0")
    assert np.array_equal(strongest, np.asarray(expected))
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet([], seed=0)


@pytest.mark.slow
def test_zero_shot_accuracy_falls_with_severity_in_every_family() -> None:
    model = open_clip.create_model(f"local-dir:{BASE}")
    tokenizer = load_tokenizer(BASE)
    head_DK = open_clip.build_zero_shot_classifier(model, tokenizer, CLASSES, TEMPLATES)
    ids = [(label, index) for label in range(len(CLASSES)) for index in range(10)]
    images = [render("real", "test", label, index) for label, index in ids]
    labels = torch.tensor([label for label, _ in ids])

    @torch.no_grad()
    def accuracy(shown: list[Image.Image]) -> float:
        batch = to_pixels(np.stack([np.asarray(image) for image in shown]))
        right = (model.encode_image(batch, normalize=True) @ head_DK).argmax(1) == labels
        return 100 * right.double().mean().item()

    clean = accuracy(images)
    for family, names in FAMILIES.items():
        means = [clean]
        for severity in SEVERITIES:
            scores = [
                accuracy(
                    [
                        corrupt(image, name, severity, seed=0, key=f"{label}/{index}")
                        for image, (label, index) in zip(images, ids, strict=True)
                    ]
                )
                for name in names
            ]
            means.append(float(np.mean(scores)))
        assert all(np.diff(means) < 0), (family, means)
