"""Weights in other formats, downloaded as anybody would and read by their own libraries."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import CLIPModel

from core.disk_cache import RECENT_SECONDS, trim
from tests.builders import random_image
from tests.integration.api.test_hugging_face import expected_head
from tests.integration.running import CLASSES, Running


@pytest.fixture(scope="module")
def http(running: Running) -> httpx.Client:
    headers = {"authorization": f"Bearer {running.key}"}
    return httpx.Client(base_url=running.address, headers=headers, timeout=120.0)


def unpacked(content: bytes, directory: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(directory, filter="data")
    return directory


def probabilities(found: np.ndarray) -> dict[str, float]:
    return dict(zip(CLASSES, map(float, found), strict=True))


def test_onnx_with_the_head_in_it(running: Running, http: httpx.Client, tmp_path: Path) -> None:
    path = f"/v1/models/{running.fine_tuned}/weights?format=onnx"
    answer = http.get(path).raise_for_status()
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.headers["content-disposition"].endswith('.onnx.tar"')
    session = onnxruntime.InferenceSession(unpacked(answer.content, tmp_path) / "model.onnx")
    for seed in (400, 401):
        image = random_image(seed)
        pixels = running.clip.preprocess(image)[None].numpy()
        _, found = session.run(None, {"pixel_values": pixels})
        assert probabilities(found[0]) == pytest.approx(expected_head(running, image), abs=1e-5)

    part = http.get(path, headers={"range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, answer.content[100:300])
    tag = {"if-none-match": answer.headers["etag"]}
    assert http.get(path, headers=tag).status_code == 304


def test_transformers_with_the_head_beside_it(
    running: Running, http: httpx.Client, tmp_path: Path
) -> None:
    path = f"/v1/models/{running.fine_tuned}/weights?format=transformers"
    directory = unpacked(http.get(path).raise_for_status().content, tmp_path)
    model = CLIPModel.from_pretrained(directory)
    head = load_file(directory / "head.safetensors")
    image = random_image(402)
    with torch.inference_mode():
        pixels = running.clip.preprocess(image)[None]
        features = model.get_image_features(pixel_values=pixels).pooler_output
        logits = head["scale"].float() * functional.normalize(features, dim=-1) @ head["weight"]
    found = logits.softmax(dim=-1)[0].numpy()
    assert probabilities(found) == pytest.approx(expected_head(running, image), abs=1e-5)


@pytest.mark.parametrize("wanted", ["onnx", "transformers"])
def test_a_mixture_is_exported_by_its_members(
    running: Running, http: httpx.Client, wanted: str
) -> None:
    answer = http.get(f"/v1/models/{running.mixture}/weights", params={"format": wanted})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (
        400,
        "format_cannot_hold_it",
        "format",
    )
    assert "export its members" in error["message"]


def test_a_format_that_is_none(running: Running, http: httpx.Client) -> None:
    answer = http.get(f"/v1/models/{running.fine_tuned}/weights?format=tensorrt")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "format")


def test_what_was_removed_to_make_room_is_made_again(running: Running, http: httpx.Client) -> None:
    path = "/v1/models/base:tiny/weights?format=onnx"
    first = http.get(path).raise_for_status()
    exports = running.settings.cache_directory / "exports"
    before = set(exports.iterdir())
    now = max(path.stat().st_mtime for path in before) + RECENT_SECONDS + 1
    assert trim(running.settings.cache_directory, 0, now=now)
    assert not list(exports.iterdir())
    again = http.get(path).raise_for_status()
    assert len(again.content) == len(first.content)
