"""Datasets through the `openai` SDK: single images become one, and what is in it is asked for."""

from __future__ import annotations

import io
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from PIL import Image

from tests.api_service import png


def test_loose_images_become_a_dataset(client: OpenAI) -> None:
    images = []
    for number in range(6):
        file = client.files.create(file=(f"{number}.png", png(number + 50)), purpose="vision")
        assert (file.purpose, file.status) == ("vision", "processed")
        label = "cat" if number % 2 else "dog"
        images.append(
            {"file_id": file.id, "label": label, "split": "train" if number < 4 else "test"}
        )
    made: Any = client.post(
        "/datasets", cast_to=object, body={"filename": "pets.zip", "images": images}
    )
    assert [split["images"] for split in made["splits"]] == [4, 2]
    listed: Any = client.get("/datasets", cast_to=object, options={"params": {"limit": 1}})
    assert listed["data"][0]["id"] == made["id"]
    file = client.files.retrieve(made["files"][0])
    assert (file.filename, file.purpose) == ("pets.zip", "fine-tune")
    sheet = client.get(
        f"/datasets/{made['id']}/contact-sheet",
        cast_to=bytes,
        options={"params": {"split": "train"}},
    )
    with Image.open(io.BytesIO(sheet)) as picture:
        assert picture.format == "JPEG"


def test_an_image_that_is_none_is_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=("a.png", b"GIF89a"), purpose="vision")
    assert caught.value.code == "unknown_image_format"
