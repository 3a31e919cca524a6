"""What workers say of themselves, and what jobs ask of them."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from core.jobs.labels import meets, one_text, parse_labels
from core.jobs.request import Requirement

LABELS = parse_labels("gpu-mem=80g region=eu licensed  cores=2.5k")


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        (None, True),
        ("licensed", True),
        ("gpu-mem", True),
        ("gpu-mem>=80g", True),
        ("gpu-mem>=40G", True),
        ("gpu-mem>=81000m", True),
        ("gpu-mem>=82000m", False),
        ("gpu-mem<=80g", True),
        ("gpu-mem<=1g", False),
        ("gpu-mem=80g", True),
        ("gpu-mem=81920m", False),  # `=` compares texts
        ("cores>=2560", True),
        ("cores>=2561", False),
        ("region=eu", True),
        ("region=us", False),
        ("region>=1", False),
        ("licensed>=1", False),
        ("missing", False),
        ("missing<=1", False),
        ("gpu-mem>=40g region=eu", True),
        ("gpu-mem>=40g region=us", False),
        ("gpu-mem~80g", False),  # as another version may write it
    ],
)
def test_a_job_is_for_workers_that_meet_all_it_asks(asked: str | None, met: bool) -> None:
    assert meets(LABELS, asked) is met


def test_a_worker_without_labels_meets_nothing() -> None:
    assert meets({}, None)
    assert not meets({}, "gpu-mem>=1")


def test_equal_wishes_are_equal_texts() -> None:
    assert one_text(["b=1", "a", "b=1"]) == one_text(["a", "b=1"]) == "a b=1"
    assert one_text([]) is None


@pytest.mark.parametrize("text", ["", "A", "a b", "a>=", "a>=x", "a<=4p", "a==1", "=1", "a" * 64])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Requirement).validate_python(text)


@pytest.mark.parametrize("text", ["a", "a=B-1.x", "gpu-mem>=40g", "x.y_z<=1.5", "cores>=8"])
def test_what_is_one_is_taken(text: str) -> None:
    assert TypeAdapter(Requirement).validate_python(text) == text


@pytest.mark.parametrize("text", ["a>=1", "=1", "A=1", "a=b c=d e=="])
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no label"):
        parse_labels(text)
