"""Pixels that are cached are the pixels there were."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from torchvision.transforms import RandomResizedCrop

from core.learning.pixels import (
    AugmentedBatches,
    EvaluationTransform,
    TrainingPixels,
    build_evaluation_pixels,
    build_training_pixels,
    open_evaluation_pixels,
    open_training_pixels,
    random_crops,
    write_evaluation_pixels,
)
from core.learning.randomness import batch_samples, generator
from tests.builders import random_image

SIZES = [(20, 24), (64, 17), (16, 16), (33, 70)]


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
def test_evaluation_pixels_are_open_clips_own_transform(tmp_path: Path, resize_mode: str) -> None:
    config = PreprocessCfg(size=16, resize_mode=resize_mode)
    images = [random_image(i, *size) for i, size in enumerate(SIZES)]
    path = tmp_path / "split"
    assert build_evaluation_pixels(path, iter(images), config) == 4
    pixels = open_evaluation_pixels(path, config, [0, 1, 0, 1], ["a", "b", "c", "d"])
    transform = image_transform_v2(config, is_train=False)
    expected = torch.stack([transform(image) for image in images])
    found = torch.cat([batch for batch, _ in pixels.batches(config, 3)])
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-7)
    assert [p.name for p in tmp_path.iterdir()] == ["split"]


def test_splits_of_the_same_images_are_written_side_by_side(tmp_path: Path) -> None:
    transform = EvaluationTransform(PreprocessCfg(size=16))
    rows = [[transform(random_image(2 * i)), transform(random_image(2 * i + 1))] for i in range(3)]
    paths = [tmp_path / "even", tmp_path / "odd"]
    assert write_evaluation_pixels(paths, iter(rows)) == 3
    for place, path in enumerate(paths):
        alone = tmp_path / "alone"
        images = (random_image(2 * i + place) for i in range(3))
        build_evaluation_pixels(alone, images, PreprocessCfg(size=16))
        assert path.read_bytes() == alone.read_bytes()


def test_nothing_is_in_place_before_everything_is_written(tmp_path: Path) -> None:
    def rows() -> Iterator[list[np.ndarray]]:
        yield [EvaluationTransform(PreprocessCfg(size=16))(random_image(0))]
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_evaluation_pixels([tmp_path / "split"], rows())
    assert not (tmp_path / "split").exists()


def test_a_cache_of_another_length_is_refused(tmp_path: Path) -> None:
    config = PreprocessCfg(size=16)
    build_evaluation_pixels(tmp_path / "split", iter([random_image(0)]), config)
    with pytest.raises(ValueError, match="768 bytes, not 1536"):
        open_evaluation_pixels(tmp_path / "split", config, [0, 1], ["a", "b"])


def training_pixels(path: Path) -> TrainingPixels:
    images = [random_image(i, *size) for i, size in enumerate(SIZES)]
    build_training_pixels(path, iter(images))
    return open_training_pixels(path, [3, 1, 0, 2])


def batches(pixels: TrainingPixels, seed: int = 0, batch_size: int = 6) -> AugmentedBatches:
    return AugmentedBatches(
        pixels,
        PreprocessCfg(size=16),
        seed=seed,
        batch_size=batch_size,
        crop_scale_min=0.08,
        flip_probability=0.5,
    )


def test_training_pixels_are_the_whole_images(tmp_path: Path) -> None:
    pixels = training_pixels(tmp_path / "train")
    for i, size in enumerate(SIZES):
        expected = np.asarray(random_image(i, *size))
        assert np.array_equal(pixels.image(i).permute(1, 2, 0).numpy(), expected)


def test_a_batch_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    pixels = training_pixels(tmp_path / "train")
    in_order, alone, other = batches(pixels), batches(pixels), batches(pixels, seed=1)
    for step in range(5):
        last = in_order.batch(step)
    images, labels = alone.batch(4)
    assert images.equal(last[0]) and labels.equal(last[1])
    assert not other.batch(4)[0].equal(images)
    for each in (in_order, alone, other):
        each.close()


def test_every_epoch_visits_every_sample_once() -> None:
    drawn = np.concatenate([batch_samples(7, step, 4, 10) for step in range(5)])
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert list(drawn[:10]) != list(drawn[10:])


def test_crops_are_inceptions() -> None:
    heights, widths = np.full(4000, 60), np.full(4000, 90)
    tops, lefts, crop_h, crop_w = random_crops(generator(0, "test"), heights, widths, 0.08)
    assert (tops >= 0).all() and (tops + crop_h <= 60).all()
    assert (lefts >= 0).all() and (lefts + crop_w <= 90).all()
    areas = crop_h * crop_w / (60 * 90)
    assert 0.06 < areas.min() < 0.12
    torch.manual_seed(0)
    canvas = torch.empty(3, 60, 90)
    theirs = [RandomResizedCrop.get_params(canvas, [0.08, 1], [3 / 4, 4 / 3]) for _ in range(4000)]
    their_areas = np.array([h * w for _, _, h, w in theirs]) / (60 * 90)
    assert abs(areas.mean() - their_areas.mean()) < 0.015  # three standard errors
    assert abs(np.median(areas) - np.median(their_areas)) < 0.03
    ratios = crop_w / crop_h
    assert ratios.min() > 0.70 and ratios.max() < 1.42
    assert abs(np.log(ratios).mean()) < 0.05


def test_an_image_no_crop_fits_gives_its_centre() -> None:
    tops, lefts, crop_h, crop_w = random_crops(
        generator(0, "test"), np.array([4]), np.array([400]), 0.9
    )
    assert (tops[0], crop_h[0], crop_w[0]) == (0, 4, 5)
    assert lefts[0] == (400 - 5) // 2
