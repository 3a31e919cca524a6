"""The line between the API and the inference process."""

from __future__ import annotations

import pytest

from core.prediction import Embedding, Prediction, StoredWeights, decode, encode

STORED = StoredWeights(model_id="base:x", object_key="bases/a.tar", sha256="aa")
IMAGES = [b"\n{first}\n", b"", b"third"]


def prediction(sizes: list[int]) -> Prediction:
    return Prediction(model=STORED, labels=["ü\n"], image_sizes=sizes)


def test_what_is_sent_arrives() -> None:
    sent = prediction([len(image) for image in IMAGES])
    assert decode(b"".join(encode(sent, IMAGES)), Prediction) == (sent, IMAGES)


def test_a_question_is_not_taken_for_another() -> None:
    sent = Embedding(model=STORED, texts=["a\n"], image_sizes=[])
    assert decode(b"".join(encode(sent, [])), Embedding) == (sent, [])
    with pytest.raises(ValueError, match="the header is no prediction"):
        decode(b"".join(encode(sent, [])), Prediction)


@pytest.mark.parametrize("body", [b"", b"{}", b"\n", b"not json\nabc", b'{"x": 1}\n'])
def test_what_is_none_of_ours(body: bytes) -> None:
    with pytest.raises(ValueError, match="the header is no prediction"):
        decode(body, Prediction)


@pytest.mark.parametrize("sizes", [[3], [5], [-1, 5]])
def test_sizes_that_do_not_add_up(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="the images have 4 bytes"):
        decode(b"".join(encode(prediction(sizes), [b"four"])), Prediction)
