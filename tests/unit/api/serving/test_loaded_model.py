"""A model in memory: what it makes of images, held against open_clip's own transform and torch."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from api.serving.graphs import load_graph
from api.serving.loaded_model import LoadedModel
from core.datasets.images import decode, decode_about
from core.demo.base_files import BASE
from core.learning.calibration import Calibration
from core.learning.formats.onnx_graph import export_onnx
from core.learning.models import Clip, load_directory, save_directory
from core.learning.packing import pack
from core.learning.pixels import normalise
from tests.builders import random_image, tiny_clip
from tests.unit.api.serving.photographs import LIMITS, photograph

COSINE_DISTANCE = 1e-4  # of features, where a JPEG is decoded at a fraction of its size
PROBABILITY = 0.02
GRAPH = 1e-5  # of any number of a unit feature


def loaded(clip: Clip) -> LoadedModel:
    return LoadedModel(clip, None, None, Calibration(1.0, None))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(100, 70), (20, 64), (8, 8)])
def test_pixels_are_those_of_open_clips_transform(mode: str, size: tuple[int, int]) -> None:
    clip = tiny_clip()
    clip.config["preprocess_cfg"]["resize_mode"] = mode
    model, image = loaded(clip), random_image(3, *size)
    ours = normalise(model.preprocess(image)[None], model.preprocessing)[0]
    assert torch.equal(ours, clip.preprocess(image))


@pytest.mark.parametrize(
    ("size", "smaller"), [((500, 400), (125, 100)), ((1600, 1200), (200, 150))]
)
def test_a_jpeg_decoded_at_a_fraction_gives_nearly_the_same(
    size: tuple[int, int], smaller: tuple[int, int]
) -> None:
    clip = load_directory(BASE)
    model, files = loaded(clip), [photograph(seed, *size) for seed in range(8)]
    whole = [decode(file, LIMITS) for file in files]
    reduced = [decode_about(file, LIMITS, clip.image_size) for file in files]
    assert {image.size for image in whole} == {size}
    assert {image.size for image in reduced} == {smaller}
    expected, found = (
        torch.stack(model.features([model.preprocess(image) for image in images]))
        for images in (whole, reduced)
    )
    assert (1 - (expected * found).sum(dim=-1)).max() < COSINE_DISTANCE
    classifier = model.zero_shot(["a bird", "a bus", "a tree", "a clock"], ["a photo of {}."])
    difference = classifier.scores(expected, "softmax") - classifier.scores(found, "softmax")
    assert difference.abs().max() < PROBABILITY


def test_what_is_small_or_no_jpeg_is_decoded_whole() -> None:
    small = photograph(1, 150, 120)
    out = io.BytesIO()
    random_image(2, 640, 480).save(out, "PNG")
    for file, side in ((small, 61), (out.getvalue(), 32)):
        whole, about = decode(file, LIMITS), decode_about(file, LIMITS, side)
        assert whole.tobytes() == about.tobytes()


def test_a_graph_gives_the_towers_features(tmp_path: Path) -> None:
    clip = tiny_clip()
    save_directory(clip, tmp_path / "model")
    export_onnx(tmp_path / "model", tmp_path / "export")
    pack(tmp_path / "export", tmp_path / "export.tar")
    model = loaded(clip)
    images = [model.preprocess(random_image(seed, 40, 30)) for seed in range(5)]
    expected = torch.stack(model.features(images))
    model.graph = load_graph(tmp_path / "export.tar", model.preprocessing)
    clip.visual.register_forward_pre_hook(lambda *_: pytest.fail("torch was asked"))
    for some in (images, images[:1]):
        found = torch.stack(model.features(some))
        assert (found - expected[: len(some)]).abs().max() < GRAPH


def test_a_small_tower_is_counted_with_its_graph() -> None:
    clip = tiny_clip()
    model = loaded(clip)
    assert model.is_small
    before = model.bytes
    tower = sum(weight.nbytes for weight in clip.visual.state_dict().values())
    assert before == tower + sum(weight.nbytes for weight in clip.model.state_dict().values())
    model.graph = lambda images: images  # what is counted does not change when it comes
    assert model.bytes == before
