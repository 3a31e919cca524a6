"""Models in other libraries' formats, read again by these libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import open_clip
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from core.learning.formats.__main__ import main
from core.learning.formats.base import CannotExport
from core.learning.formats.names import CANNOT_EXPORT
from core.learning.formats.onnx_graph import export_onnx
from core.learning.formats.transformers_clip import export_transformers
from core.learning.models import Clip, Head, save_directory, save_head
from tests.builders import random_image, tiny_clip, tiny_config, unit_head

CLASSES = ["cat", "dog", "red fox"]
TEXTS = ["a photo of a cat.", "It's 3 o'clock!  Nobody   naps...", "Ünïcode & <b>tags</b> 42nd", ""]


def resnet() -> Clip:
    """A tiny one, as the demo's base is."""
    torch.manual_seed(3)
    config = tiny_config()
    config["model_cfg"]["vision_cfg"] = {
        "image_size": 32,
        "layers": [1, 1, 1, 1],
        "width": 8,
        "patch_size": None,
    }
    config["preprocess_cfg"]["size"] = 32
    model = open_clip.CLIP(**config["model_cfg"])
    return Clip(model.eval(), open_clip.SimpleTokenizer(), config, {})


def stored(directory: Path, clip: Clip, *, with_head: bool = True) -> tuple[Path, Head]:
    head = Head(unit_head(8, 3), 20.0, CLASSES, list("cdf"), ["{}"], {})
    save_directory(clip, directory)
    if with_head:
        save_head(head, directory)
    return directory, head


def expected(clip: Clip, head: Head, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return head.logits(clip.image_features(images)).softmax(dim=-1)


def prepared(clip: Clip, n: int) -> torch.Tensor:
    return torch.stack([clip.preprocess(random_image(seed, 40, 30)) for seed in range(n)])


@pytest.mark.parametrize("make", [tiny_clip, resnet, lambda: tiny_clip(custom_text=True)])
def test_onnxruntime_gives_the_same_probabilities(tmp_path: Path, make: object) -> None:
    clip = make()  # type: ignore[operator]
    source, head = stored(tmp_path / "model", clip)
    export_onnx(source, tmp_path / "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    assert [output.name for output in session.get_outputs()] == ["features", "probabilities"]
    for n in (1, 5):
        images = prepared(clip, n)
        features, probabilities = session.run(None, {"pixel_values": images.numpy()})
        np.testing.assert_allclose(probabilities, expected(clip, head, images), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0, atol=1e-5)
    assert {"classes.json", "head.safetensors", "open_clip_config.json"} <= {
        path.name for path in (tmp_path / "onnx").iterdir()
    }


def test_a_base_is_a_graph_of_features(tmp_path: Path) -> None:
    clip = tiny_clip()
    source, _ = stored(tmp_path / "model", clip, with_head=False)
    export_onnx(source, tmp_path / "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    images = prepared(clip, 3)
    (features,) = session.run(None, {"pixel_values": images.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(features, clip.image_features(images), atol=1e-5)


@pytest.mark.parametrize("custom_text", [False, True])
@pytest.mark.parametrize("quick_gelu", [False, True])
def test_transformers_gives_the_same_features_and_probabilities(
    tmp_path: Path, custom_text: bool, quick_gelu: bool
) -> None:
    torch.manual_seed(5)
    config = tiny_config()
    config["model_cfg"]["quick_gelu"] = quick_gelu
    kind = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
    model = kind(**config["model_cfg"])
    if custom_text:
        config["model_cfg"]["custom_text"] = True
    clip = Clip(model.eval(), open_clip.SimpleTokenizer(), config, {})
    source, head = stored(tmp_path / "model", clip)
    export_transformers(source, tmp_path / "hf")

    theirs = CLIPModel.from_pretrained(tmp_path / "hf").eval()
    images = prepared(clip, 4)
    own = load_file(tmp_path / "hf" / "head.safetensors")
    with torch.inference_mode():
        features = functional.normalize(
            theirs.get_image_features(pixel_values=images).pooler_output, dim=-1
        )
        probabilities = (own["scale"].float() * features @ own["weight"]).softmax(dim=-1)
        torch.testing.assert_close(probabilities, expected(clip, head, images), rtol=0, atol=1e-5)

        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
        tokens = tokenizer(TEXTS, padding=True, return_tensors="pt")
        words = functional.normalize(theirs.get_text_features(**tokens).pooler_output, dim=-1)
        torch.testing.assert_close(
            words, clip.text_features(clip.tokenizer(TEXTS)), rtol=0, atol=1e-5
        )
    torch.testing.assert_close(theirs.logit_scale, clip.model.logit_scale)


def test_its_own_image_processor_prepares_images_alike(tmp_path: Path) -> None:
    """Torchvision resizes tensors where open_clip resizes PIL's images: some levels apart."""
    clip = tiny_clip()
    source, _ = stored(tmp_path / "model", clip)
    export_transformers(source, tmp_path / "hf")
    processor = CLIPImageProcessor.from_pretrained(tmp_path / "hf")
    smooth = random_image(3, 5, 4).resize((50, 40))
    found = processor(images=smooth, return_tensors="pt")["pixel_values"][0]
    levels = (found - clip.preprocess(smooth)).abs() * torch.tensor(0.27) * 255
    assert float(levels.max()) < 4


def test_what_transformers_cannot_hold_is_said(tmp_path: Path) -> None:
    source, _ = stored(tmp_path / "model", resnet())
    with pytest.raises(CannotExport, match="its image tower is no vision transformer"):
        export_transformers(source, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_a_text_tower_that_looks_both_ways_is_found_out(tmp_path: Path) -> None:
    """Every weight has a place there, and the features are others: only comparing tells."""
    clip = tiny_clip(no_causal_mask=True)
    source, _ = stored(tmp_path / "model", clip)
    with pytest.raises(CannotExport, match="text features differ"):
        export_transformers(source, tmp_path / "hf")


def test_the_command_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, _ = stored(tmp_path / "model", resnet())
    assert main("transformers", source, tmp_path / "hf") == CANNOT_EXPORT
    assert "format=onnx" in capsys.readouterr().err
    assert main("onnx", source, tmp_path / "onnx") == 0
    (source / "open_clip_model.safetensors").unlink()
    assert main("onnx", source, tmp_path / "again") == CANNOT_EXPORT
