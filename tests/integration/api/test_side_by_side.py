"""Several models in one request, and names that move between models, through both processes."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from core.prediction import CONTENT_TYPE, Forgetting, Loading, StoredWeights, encode
from core.records import models
from tests.builders import random_image
from tests.integration.api.test_hugging_face import encoded, expected_head, expected_zero_shot
from tests.integration.running import CLASSES, Running


@pytest.fixture
def http(running: Running) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {running.key}"}
    with httpx.Client(base_url=running.address, headers=headers, timeout=60.0) as client:
        yield client


def scores(answer: dict[str, Any]) -> dict[str, float]:
    return {item["label"]: item["score"] for item in answer["scores"]}


def test_zero_shot_beside_fine_tuned(running: Running, http: httpx.Client) -> None:
    images = [random_image(seed) for seed in range(300, 304)]
    body = {
        "models": ["base:tiny", running.fine_tuned, running.mixture],
        "inputs": [base64.b64encode(encoded(image)).decode() for image in images],
    }
    found = http.post("/v1/classify", json=body).raise_for_status().json()
    assert found["false_alarm_rate"] == 0.05
    for image, side in zip(images, found["images"], strict=True):
        zero_shot, tuned, mixed = side["answers"]
        assert [a["model"] for a in side["answers"]] == body["models"]
        expected = expected_zero_shot(running, image, list(CLASSES), ["{}"])
        assert scores(zero_shot) == pytest.approx(expected, abs=1e-5)
        assert scores(tuned) == pytest.approx(expected_head(running, image), abs=1e-5)
        assert mixed["member_weights"] == {running.fine_tuned: 0.75, "ft:tiny:owls:other": 0.25}
        for answer in side["answers"]:
            best = answer["scores"][0]
            assert (answer["label"], answer["score"]) == (best["label"], best["score"])
            # Nothing was fitted for these models, and none remembers what it was trained on.
            assert (answer["confidence"], answer["shift"]) == (None, None)
        labels = {answer["label"] for answer in side["answers"]}
        assert side["label_changed"] == (len(labels) > 1)
        assert side["shifted"] is None


def test_an_image_as_the_body(running: Running, http: httpx.Client) -> None:
    image = random_image(310)
    params = [("model", "base:tiny"), ("model", running.fine_tuned)]
    raw = http.post("/v1/classify", content=encoded(image), params=params).raise_for_status().json()
    body = {
        "models": ["base:tiny", running.fine_tuned],
        "inputs": base64.b64encode(encoded(image)).decode(),
    }
    assert raw == http.post("/v1/classify", json=body).json()


def test_own_labels_for_all(running: Running, http: httpx.Client) -> None:
    image = random_image(311)
    body = {
        "models": ["base:tiny", running.fine_tuned],
        "inputs": base64.b64encode(encoded(image)).decode(),
        "parameters": {"candidate_labels": ["bus", "dog"], "hypothesis_template": "a {}"},
    }
    (side,) = http.post("/v1/classify", json=body).raise_for_status().json()["images"]
    expected = expected_zero_shot(running, image, ["bus", "dog"], ["a {}"])
    for answer in side["answers"]:  # which have the same towers here
        assert scores(answer) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("data", [b"no image", b"", encoded(random_image(9))[:60]])
def test_what_is_no_image(running: Running, http: httpx.Client, data: bytes) -> None:
    params = [("model", "base:tiny"), ("model", running.fine_tuned)]
    answer = http.post("/v1/classify", content=data, params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "inputs")


def test_an_alias_moves_under_load_and_nobody_notices(running: Running, http: httpx.Client) -> None:
    """Eight clients ask without a pause while the name goes to and fro forty times."""
    image = encoded(random_image(320))
    targets = (running.fine_tuned, running.mixture)
    expected = {}
    for model in targets:
        answer = http.post(f"/v1/models/{model}/image-classification", content=image)
        expected[model] = by_label(answer.raise_for_status().json())

    def answered_by(content: Any) -> list[str]:
        """The models whose answer that is, but for the rounding of a batch."""
        found = by_label(content)
        return [model for model in targets if found == pytest.approx(expected[model], abs=1e-6)]

    assert answered_by(items(expected[targets[0]])) == [targets[0]]
    path = "/v1/models/production/image-classification"
    http.put("/v1/aliases/production", json={"model": targets[0]}).raise_for_status()
    done = threading.Event()

    def ask() -> list[tuple[int, Any]]:
        found = []
        with httpx.Client(base_url=running.address, headers=http.headers, timeout=60.0) as client:
            while not done.is_set():
                answer = client.post(path, content=image)
                found.append((answer.status_code, answer.json()))
        return found

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        try:
            for turn in range(40):
                if turn % 4 == 3:
                    moved = http.post("/v1/aliases/production/rollback")
                else:
                    model = targets[(turn + 1) % 2]
                    moved = http.put("/v1/aliases/production", json={"model": model})
                assert moved.status_code == 200, moved.text
                # What is asked from now on is answered by the model that it points at.
                now = http.post(path, content=image).json()
                assert answered_by(now) == [moved.json()["model"]]
        finally:
            done.set()
        answers = [answer for task in asking for answer in task.result()]
    assert len(answers) > 80
    assert {status for status, _ in answers} == {200}
    models_of_answers = [answered_by(content) for _, content in answers]
    assert all(len(found) == 1 for found in models_of_answers)
    assert {found[0] for found in models_of_answers} == set(targets)


def by_label(content: Any) -> dict[str, float]:
    return {item["label"]: item["score"] for item in content}


def items(scores: dict[str, float]) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in scores.items()]


def test_a_deleted_model_leaves_memory(running: Running, http: httpx.Client) -> None:
    with running.database.read() as session:
        row = models.get(session, running.project_id, running.spare)
    stored = StoredWeights(model_id=row.id, object_key=row.object_key, sha256=row.sha256)
    never_there = stored.model_copy(update={"sha256": "0" * 64})

    before = held(running, Forgetting(model=never_there))
    with_it = held(running, Loading(model=stored))
    assert with_it > before
    assert http.delete(f"/v1/models/{running.spare}").status_code == 200
    assert held(running, Forgetting(model=never_there)) == before


def held(running: Running, question: Loading | Forgetting) -> int:
    """Bytes of models in the inference process's memory, once that is done."""
    answer = httpx.post(
        f"http://127.0.0.1:{running.settings.serving_port}{question.path}",
        content=b"".join(encode(question, [])),
        headers={"content-type": CONTENT_TYPE},
    )
    return int(answer.raise_for_status().json()["bytes"])
