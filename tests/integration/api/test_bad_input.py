"""What no request should be, sent to real processes: a clear sentence each, and the next request is
answered as if nothing had been."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from core.settings import MIB
from tests.api_service import add_key, dataset
from tests.builders import random_image
from tests.integration.api.test_hugging_face import encoded, expected_head
from tests.integration.running import Running, publish
from tests.unit.datasets.crafted import png_bytes


@pytest.fixture
def http(running: Running) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {running.key}"}
    with httpx.Client(base_url=running.address, headers=headers, timeout=60.0) as client:
        yield client


@pytest.fixture(autouse=True)
def _others_are_answered(running: Running, http: httpx.Client) -> Iterator[None]:
    """After whatever the test sent."""
    yield
    image = random_image(700)
    path = f"/v1/models/{running.fine_tuned}/image-classification"
    answer = http.post(path, content=encoded(image)).raise_for_status().json()
    found = {item["label"]: item["score"] for item in answer}
    assert found == pytest.approx(expected_head(running, image), abs=1e-5)


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", "empty_image", "0 bytes"),
        (b"no image at all", "unknown_image_format", "b'no image at all'"),
        (b"GIF89a" + bytes(40), "unknown_image_format", "a GIF"),
        (encoded(random_image(701))[:60], "unreadable_image", "damaged or cut off"),
        (b"\xff\xd8\xff\xe0" + bytes(200), "unknown_image_format", "no readable image"),
    ],
)
def test_what_is_no_image(
    running: Running, http: httpx.Client, body: bytes, code: str, says: str
) -> None:
    answer = http.post(f"/v1/models/{running.fine_tuned}/image-classification", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert says in answer.json()["error"]["message"]


def test_an_image_bomb(running: Running, http: httpx.Client) -> None:
    """A few kilobytes that say they are 900 million pixels, and begin with millions."""
    side = 30_000
    png = png_bytes(side, side, pixels=(b"\0" + bytes(3 * side)) * 300)
    assert len(png) < 100_000
    answer = http.post(f"/v1/models/{running.fine_tuned}/image-classification", content=png)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "image_too_large"
    assert "900000000 pixels" in answer.json()["error"]["message"]


def test_a_giant_image_that_is_allowed(running: Running, http: httpx.Client) -> None:
    """It is decoded by another process, to what the model would have been given otherwise."""
    image = random_image(702).resize((2600, 2600), Image.Resampling.NEAREST)
    out = io.BytesIO()
    image.save(out, "PNG")
    path = f"/v1/models/{running.fine_tuned}/image-classification"
    answer = http.post(path, content=out.getvalue()).raise_for_status().json()
    found = {item["label"]: item["score"] for item in answer}
    assert found == pytest.approx(expected_head(running, image), abs=1e-5)


def test_200_megabytes(running: Running, http: httpx.Client) -> None:
    """Refused by what its head declares: nobody waits for it to be sent."""

    def sent() -> Iterator[bytes]:
        yield b"\xff\xd8\xff\xe0"
        yield from (bytes(MIB) for _ in range(200))

    path = f"/v1/models/{running.fine_tuned}/image-classification"
    headers = {"content-length": str(200 * MIB + 4)}
    try:
        answer = http.post(path, content=sent(), headers=headers)
    except httpx.WriteError:  # the server has answered and hung up while we were still sending
        return
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize(
    ("labels", "code", "says"),
    [
        (["owl"], "wrong_number_of_labels", "has 1 labels; send 2 to 1000"),
        ([f"thing {n}" for n in range(2000)], "wrong_number_of_labels", "has 2000 labels"),
        ([f"thing {n}" for n in range(100_000)], "too_many_values", "commas"),
        (["owl", "x" * 10_000], None, "candidate_labels.1"),
        (["owl", "owl"], None, "'owl' twice"),
    ],
)
def test_labels(
    running: Running, http: httpx.Client, labels: list[str], code: str | None, says: str
) -> None:
    image = base64.b64encode(encoded(random_image(703))).decode()
    body = {"inputs": image, "parameters": {"candidate_labels": labels}}
    answer = http.post("/v1/models/base:tiny/zero-shot-image-classification", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert says in f"{error['param']}: {error['message']}"
    assert len(error["message"]) < 1000  # not the labels once more
    if code is not None:
        assert error["code"] == code


def test_models_that_cannot_be_asked(running: Running, http: httpx.Client) -> None:
    theirs_id, _ = add_key(running.database, "theirs")
    directory = running.settings.data_dir.parent / "spare"
    theirs = publish(running.database, running.store, theirs_id, directory)
    upload = http.post(
        "/v1/files",
        data={"purpose": "fine-tune"},
        files={"file": ("images.zip", dataset(images=8))},
    ).raise_for_status()
    job = http.post(
        "/v1/fine_tuning/jobs",
        json={"model": "base:tiny", "training_file": upload.json()["id"], "suffix": "soon"},
    ).raise_for_status()
    training = f"ft:tiny:soon:{job.json()['id'].removeprefix('ftjob-')}"
    image = encoded(random_image(704))
    for model, code, says in (
        ("ft:tiny:owls:nobody", "model_not_found", "There is no model"),
        (theirs, "model_not_found", "There is no model"),  # no word of whose it is
        (training, "model_not_ready", "Ask again when it has succeeded"),
    ):
        one = http.post(f"/v1/models/{model}/image-classification", content=image)
        beside = http.post(
            "/v1/classify", params=[("model", "base:tiny"), ("model", model)], content=image
        )
        for answer in (one, beside):
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == code
            assert says in answer.json()["error"]["message"]
    http.post(f"/v1/fine_tuning/jobs/{job.json()['id']}/cancel").raise_for_status()
