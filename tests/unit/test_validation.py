"""What somebody wrote as JSON is read by JSON's types."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from core.jobs.request import JobRequest
from core.validation import findings, joined, read_json


class Inner(BaseModel):
    share: float = 0.5


class Body(BaseModel):
    count: int = 1
    flag: bool = False
    name: str = ""
    inner: Inner = Inner()
    anything: Any = None


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"count": True}, "count"),
        ({"count": "1"}, "count"),
        ({"count": 1.5}, "count"),
        ({"flag": 0}, "flag"),
        ({"flag": "yes"}, "flag"),
        ({"name": 1}, "name"),
        ({"inner": {"share": "0.5"}}, "inner.share"),
        ({"inner": {"share": False}}, "inner.share"),
    ],
)
def test_no_type_stands_for_another(content: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_json(Body, content)
    assert [found.field for found in findings(caught.value.errors())] == [field]


def test_a_whole_number_may_be_written_with_a_point() -> None:
    read = read_json(Body, {"count": 3.0, "inner": {"share": 1}, "anything": [1.0, {"a": 0.5}]})
    assert (read.count, read.inner.share) == (3, 1.0)
    assert read.anything == [1, {"a": 0.5}]
    assert isinstance(read.inner.share, float)


def test_a_number_beyond_the_exact_ones_stays_what_it_is() -> None:
    assert read_json(Body, {"anything": 1e300}).anything == 1e300
    with pytest.raises(ValidationError):
        read_json(Body, {"count": 1e300})


def test_pairs_are_arrays() -> None:
    body = {"model": "m", "training_file": "f", "evaluation": {"baselines": {"night": [[1, 0.5]]}}}
    assert read_json(JobRequest, body).evaluation.baselines == {"night": [(1.0, 0.5)]}
    body["evaluation"] = {"baselines": {"night": [["1", 0.5]]}}
    with pytest.raises(ValidationError):
        read_json(JobRequest, body)


@pytest.mark.parametrize("content", [[None], "text", 1, None])
def test_what_is_no_object(content: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        read_json(Body, content)
    assert (
        joined(findings(caught.value.errors())) == f"The body is {content!r}; it must be an object."
    )
