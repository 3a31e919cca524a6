"""`huggingface_hub.InferenceClient`, unmodified, against both processes and real weights."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import torch
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image

from core.learning.zero_shot import build_head
from tests.builders import random_image
from tests.integration.running import CLASSES, Running

TASKS = ("image-classification", "zero-shot-image-classification")
LABELS = ["dog", "tabby cat", "crested owl", "bus"]


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def client(running: Running, model_id: str, task: str | None = None) -> InferenceClient:
    """Of one task's address, or of the model's own."""
    address = "/".join(filter(None, (running.address, "v1/models", model_id, task)))
    return InferenceClient(model=address, token=running.key)


def expected_texts(running: Running, texts: list[str]) -> list[list[float]]:
    with torch.inference_mode():
        features = running.clip.text_features(running.clip.tokenizer(texts))
    return [list(vector) for vector in features.tolist()]


def expected_head(running: Running, image: Image.Image) -> dict[str, float]:
    """The probabilities that the weights themselves give."""
    with torch.inference_mode():
        features = running.clip.image_features(running.clip.preprocess(image)[None])
        logits = running.head.scale * features @ running.head.weight
    return dict(zip(CLASSES, logits.softmax(-1)[0].tolist(), strict=True))


def expected_zero_shot(
    running: Running, image: Image.Image, labels: list[str], templates: list[str]
) -> dict[str, float]:
    with torch.inference_mode():
        features = running.clip.image_features(running.clip.preprocess(image)[None])
        weight = build_head(running.clip, labels, templates)
        scores = (running.clip.scale * features @ weight).softmax(-1)[0].tolist()
    return dict(zip(labels, scores, strict=True))


def test_a_trained_head_answers_raw_bytes(running: Running) -> None:
    image = random_image(1)
    answer = client(running, running.fine_tuned, TASKS[0]).image_classification(encoded(image))
    assert {item.label: item.score for item in answer} == pytest.approx(
        expected_head(running, image), abs=1e-5
    )
    assert [item.score for item in answer] == sorted((i.score for i in answer), reverse=True)


def test_a_large_image_is_answered_in_its_turn(running: Running) -> None:
    image = random_image(1).resize((2400, 2000))
    answer = client(running, running.fine_tuned, TASKS[0]).image_classification(encoded(image))
    assert {item.label: item.score for item in answer} == pytest.approx(
        expected_head(running, image), abs=1e-5
    )


def test_a_path_and_parameters(running: Running, tmp_path: Path) -> None:
    image = random_image(2)
    path = tmp_path / "image.png"
    path.write_bytes(encoded(image))
    asking = client(running, running.fine_tuned, TASKS[0])
    best = asking.image_classification(path, top_k=1)
    expected = expected_head(running, image)
    assert [item.label for item in best] == [max(expected, key=lambda name: expected[name])]
    raw = asking.image_classification(path, function_to_apply="none")
    assert torch.tensor([item.score for item in raw]).softmax(0).tolist() == pytest.approx(
        sorted(expected.values(), reverse=True), abs=1e-5
    )


@pytest.mark.parametrize("is_base", [True, False])
def test_candidate_labels_on_any_model(running: Running, is_base: bool) -> None:
    image = random_image(3)
    model_id = "base:tiny" if is_base else running.fine_tuned
    asking = client(running, model_id, TASKS[1])
    answer = asking.zero_shot_image_classification(encoded(image), LABELS)
    expected = expected_zero_shot(running, image, LABELS, ["This is a photo of {}."])
    assert {item.label: item.score for item in answer} == pytest.approx(expected, abs=1e-5)

    answer = asking.zero_shot_image_classification(
        encoded(image), LABELS, hypothesis_template="a sketch of a {}."
    )
    expected = expected_zero_shot(running, image, LABELS, ["a sketch of a {}."])
    assert {item.label: item.score for item in answer} == pytest.approx(expected, abs=1e-5)


def test_several_templates_and_several_images(running: Running) -> None:
    images = [random_image(seed) for seed in range(4, 7)]
    templates = ["a photo of a {}.", "a drawing of a {}."]
    answer = httpx.post(
        f"{running.address}/v1/models/base:tiny/{TASKS[1]}",
        headers={"authorization": f"Bearer {running.key}"},
        json={
            "inputs": [base64.b64encode(encoded(image)).decode() for image in images],
            "parameters": {"candidate_labels": LABELS, "templates": templates},
        },
    ).json()
    assert len(answer) == 3
    for found, image in zip(answer, images, strict=True):
        expected = expected_zero_shot(running, image, LABELS, templates)
        assert {item["label"]: item["score"] for item in found} == pytest.approx(expected, abs=1e-5)


def test_many_at_once_get_their_own_answers(running: Running) -> None:
    images = [random_image(seed) for seed in range(100, 140)]
    asking = client(running, running.fine_tuned, TASKS[0])
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(asking.image_classification, [encoded(i) for i in images]))
    for answer, image in zip(answers, images, strict=True):
        assert {item.label: item.score for item in answer} == pytest.approx(
            expected_head(running, image), abs=1e-5
        )


def test_a_mixture_answers_with_all_its_members(running: Running) -> None:
    image = random_image(11)
    clip, head = running.other
    with torch.inference_mode():
        features = clip.image_features(clip.preprocess(image)[None])
        second = (head.scale * features @ head.weight).softmax(-1)[0].tolist()
    first = expected_head(running, image)
    expected = {
        name: 0.75 * first[name] + 0.25 * p for name, p in zip(CLASSES, second, strict=True)
    }
    asking = client(running, running.mixture, TASKS[0])
    answer = asking.image_classification(encoded(image))
    assert {item.label: item.score for item in answer} == pytest.approx(expected, abs=1e-5)
    images = [random_image(seed) for seed in range(200, 208)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(asking.image_classification, [encoded(i) for i in images]))

    with pytest.raises(HfHubHTTPError, match="come from no logits"):
        asking.image_classification(encoded(image), function_to_apply="sigmoid")
    with pytest.raises(HfHubHTTPError, match=f"ask one of its members: {running.fine_tuned}"):
        client(running, running.mixture, TASKS[1]).zero_shot_image_classification(
            encoded(image), LABELS
        )


def test_one_address_for_every_task(running: Running) -> None:
    image = random_image(12)
    asking = client(running, running.fine_tuned)
    answer = asking.image_classification(encoded(image))
    assert {item.label: item.score for item in answer} == pytest.approx(
        expected_head(running, image), abs=1e-5
    )
    best = asking.image_classification(encoded(image), top_k=1)
    assert [item.label for item in best] == [answer[0].label]
    found = asking.zero_shot_image_classification(encoded(image), LABELS)
    expected = expected_zero_shot(running, image, LABELS, ["This is a photo of {}."])
    assert {item.label: item.score for item in found} == pytest.approx(expected, abs=1e-5)
    vector = asking.feature_extraction("a tabby cat")
    assert vector.tolist() == pytest.approx(expected_texts(running, ["a tabby cat"])[0], abs=1e-5)


def test_features_of_texts(running: Running) -> None:
    texts = ["a tabby cat", "", "a very long text " * 40]
    asking = client(running, "base:tiny", "feature-extraction")
    one = asking.feature_extraction(texts[0], normalize=True)
    assert one.tolist() == pytest.approx(expected_texts(running, texts[:1])[0], abs=1e-5)
    several = asking.feature_extraction(texts)
    assert several.shape == (3, running.clip.embed_dim)
    for found, expected in zip(several.tolist(), expected_texts(running, texts), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(HfHubHTTPError, match="normalize"):
        asking.feature_extraction(texts[0], normalize=False)
    with pytest.raises(HfHubHTTPError, match=f"ask one of them: {running.fine_tuned}"):
        client(running, running.mixture).feature_extraction(texts[0])


def test_texts_and_images_share_a_space(running: Running) -> None:
    images = [random_image(seed) for seed in (13, 14)]
    answer = httpx.post(
        f"{running.address}/v1/models/base:tiny/embeddings",
        headers={"authorization": f"Bearer {running.key}"},
        json={
            "texts": ["a photo of a dog."],
            "images": [base64.b64encode(encoded(image)).decode() for image in images],
        },
    ).json()
    with torch.inference_mode():
        batch = torch.stack([running.clip.preprocess(image) for image in images])
        expected = running.clip.image_features(batch).tolist()
    assert answer["dimensions"] == running.clip.embed_dim
    assert answer["texts"][0] == pytest.approx(
        expected_texts(running, ["a photo of a dog."])[0], abs=1e-5
    )
    for found, vector in zip(answer["images"], expected, strict=True):
        assert found == pytest.approx(vector, abs=1e-5)


@pytest.mark.parametrize("content_type", [None, "image/jpeg", "application/octet-stream", "x/y"])
def test_any_content_type_or_none(running: Running, content_type: str | None) -> None:
    image = random_image(8)
    request = httpx.Request(
        "POST",
        f"{running.address}/v1/models/{running.fine_tuned}/{TASKS[0]}",
        headers={"authorization": f"Bearer {running.key}"},
        content=encoded(image, "JPEG"),
    )
    if content_type:
        request.headers["content-type"] = content_type
    with httpx.Client() as sending:
        answer = sending.send(request)
    assert (answer.status_code, len(answer.json())) == (200, 3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no image at all", "unknown_image_format"),
        (encoded(random_image(9))[:60], "unreadable_image"),
        (b"GIF89a" + bytes(20), "unknown_image_format"),
        (encoded(Image.new("1", (8000, 8000))), "image_too_large"),
    ],
)
def test_what_is_no_image(running: Running, data: bytes, code: str) -> None:
    answer = httpx.post(
        f"{running.address}/v1/models/{running.fine_tuned}/{TASKS[0]}",
        headers={"authorization": f"Bearer {running.key}"},
        content=data,
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, "inputs")
    assert error["message"].startswith("The image cannot be read: ")


def test_damaged_weights_are_never_loaded(running: Running) -> None:
    """The stored object changes behind our back: its digest says so."""
    from core.records import models

    stored = running.store.put_bytes("bases/damaged.tar", b"damaged")
    with running.database.write() as session:
        models.register_base(
            session,
            "damaged",
            object_key=stored.key,
            sha256="0" * 64,
            size=7,
            members={},
            info={},
        )
    answer = httpx.post(
        f"{running.address}/v1/models/base:damaged/{TASKS[1]}",
        headers={"authorization": f"Bearer {running.key}"},
        json={
            "inputs": base64.b64encode(encoded(random_image(10))).decode(),
            "parameters": {"candidate_labels": LABELS},
        },
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_error")
    assert "damaged" in answer.json()["error"]["message"]


def test_the_inference_process_hears_only_its_own_language(running: Running) -> None:
    address = f"http://127.0.0.1:{running.settings.serving_port}/predict"
    from_a_page = httpx.post(address, content=b"{}", headers={"content-type": "text/plain"})
    assert (from_a_page.status_code, from_a_page.json()["code"]) == (400, "invalid_content_type")
    garbled = httpx.post(
        address, content=b"{}", headers={"content-type": "application/vnd.lipsum.prediction"}
    )
    assert garbled.status_code == 400
