"""Inference on a GPU: graphs of towers answer what the towers do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor

from api.serving.cuda_graphs import SIZES, CudaGraphs
from api.serving.loaded_model import LoadedModel
from api.serving.precision import features_on_device, load_for_serving
from core.demo.base_files import BASE
from core.learning.calibration import Calibration
from core.learning.models import Clip, save_directory
from core.learning.pixels import normaliser
from core.settings import ServingPrecision

GPU = torch.device("cuda")


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a ViT-B/32 of random weights."""
    directory = tmp_path_factory.mktemp("vit") / "base"
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32")
    config = {
        "model_cfg": open_clip.get_model_config("ViT-B-32"),
        "preprocess_cfg": dict(open_clip.get_model_preprocess_cfg(model)),
    }
    save_directory(Clip(model.eval(), open_clip.get_tokenizer("ViT-B-32"), config, {}), directory)
    return directory


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("n_images", [1, 2, 3, 5, SIZES[-1], SIZES[-1] + 1])
def test_a_graph_answers_what_the_tower_does(
    vit: Path, precision: ServingPrecision, n_images: int
) -> None:
    plain, graphed = _model(vit, precision), _equipped(vit, precision)
    images = _images(plain, n_images)
    expected, found = torch.stack(plain.features(images)), torch.stack(graphed.features(images))
    distance = float((1 - (expected * found).sum(dim=-1)).max())
    assert distance <= {"fp32": 1e-6, "bf16": 1e-4}[precision]


def test_a_full_graph_is_the_tower_bit_for_bit(vit: Path) -> None:
    model = _equipped(vit, "bf16")
    prepare = normaliser(model.preprocessing, GPU)
    for size in SIZES:
        images = _images(model, size)
        with torch.inference_mode():
            pixels = torch.stack(images).to(GPU)
            expected = features_on_device(model.clip, prepare(pixels)).cpu()
        assert torch.equal(torch.stack(model.features(images)), expected)


def test_it_is_close_to_float32_on_a_cpu() -> None:
    cpu = LoadedModel(
        load_for_serving(BASE, torch.device("cpu"), "fp32"), None, None, Calibration(None, None)
    )
    images = _images(cpu, 7)
    expected, found = cpu.features(images), _equipped(BASE, "auto").features(images)
    assert float((torch.stack(expected) - torch.stack(found)).abs().max()) <= 1e-5


def test_answers_stay_when_others_are_given(vit: Path) -> None:
    """The graphs of all models share their memory."""
    graphs = CudaGraphs()
    first, second = _model(vit, "bf16"), _model(BASE, "auto")
    graphs.equip(first)
    graphs.equip(second)
    ours, theirs = _images(first, 3), _images(second, 5)
    given = first.features(ours)
    kept = torch.stack(given)
    between = torch.stack(second.features(theirs))
    assert torch.equal(torch.stack(given), kept)
    assert torch.equal(torch.stack(first.features(ours)), kept)
    assert torch.equal(torch.stack(second.features(theirs)), between)


def test_a_model_is_loaded_while_another_answers_and_texts_are_encoded(vit: Path) -> None:
    graphs = CudaGraphs()
    model = _model(vit, "bf16")
    graphs.equip(model)
    images = _images(model, 4)
    expected = torch.stack(model.features(images))
    texts = model.text_features(["a photo of a bird."])
    stop, wrong = threading.Event(), []

    def ask() -> int:
        asked = 0
        while not stop.is_set():
            asked += 1
            if not torch.equal(torch.stack(model.features(images)), expected):
                wrong.append("images")
        return asked

    def encode() -> int:
        asked = 0
        while not stop.is_set():
            asked += 1
            if not torch.allclose(model.text_features(["a photo of a bird."]), texts, atol=1e-5):
                wrong.append("texts")
        return asked

    with ThreadPoolExecutor(3) as pool:
        asking, encoding = pool.submit(ask), pool.submit(encode)
        try:
            others = [_model(BASE, "auto") for _ in range(3)]
            for other in others:
                pool.submit(graphs.equip, other).result()
        finally:
            stop.set()
        assert asking.result() > 10 and encoding.result() > 10
    assert wrong == []
    answers = [torch.stack(other.features(_images(other, 2))) for other in others]
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    assert all(other.graph is not None for other in others)


def test_a_tower_that_cannot_be_captured_answers_without(vit: Path) -> None:
    model = _model(vit, "fp32")
    tower = model.clip.visual.forward

    def waits(images: Tensor) -> Tensor:
        assert float(images.abs().sum()) >= 0  # comes to the CPU
        return tower(images)

    model.clip.visual.forward = waits
    images = _images(model, 2)
    expected = torch.stack(model.features(images))
    CudaGraphs().equip(model)
    assert model.graph is None
    assert torch.equal(torch.stack(model.features(images)), expected)
    other = _equipped(vit, "fp32")  # nothing stays broken
    assert other.graph is not None
    assert torch.allclose(torch.stack(other.features(images)), expected, atol=1e-5)


def test_a_further_model_takes_little_more_than_its_weights(vit: Path) -> None:
    """In float32; graphs find room where those of other models have it."""
    graphs = CudaGraphs()
    held = [_model(vit, "fp32")]
    graphs.equip(held[0])
    for _ in range(2):
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved()
        held.append(_model(vit, "fp32"))
        graphs.equip(held[-1])
        torch.cuda.empty_cache()
        grown = torch.cuda.memory_reserved() - before
        assert grown <= 1.2 * held[-1].bytes_without_graph


def _model(directory: Path, precision: ServingPrecision) -> LoadedModel:
    return LoadedModel(
        load_for_serving(directory, GPU, precision), None, None, Calibration(None, None)
    )


def _equipped(directory: Path, precision: ServingPrecision) -> LoadedModel:
    model = _model(directory, precision)
    CudaGraphs().equip(model)
    assert model.graph is not None
    return model


def _images(model: LoadedModel, n: int) -> list[Tensor]:
    side = model.clip.image_size
    generator = torch.Generator().manual_seed(n)
    return list(torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=generator))
