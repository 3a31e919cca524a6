"""The lines between trainer and supervisor."""

import math

import pytest
from pydantic import ValidationError

from core.jobs.messages import Event, Failed, Metrics, SplitResult, decode, encode


@pytest.mark.parametrize(
    "message",
    [
        Event(message="two\nlines and a é", data={"n": 1}),
        Metrics(seed=0, step=3, values={"loss": 0.1 + 0.2, "norm": 1e-300}),
        Failed(reason="invalid_dataset", message="no"),
    ],
)
def test_a_message_is_one_line_and_comes_back_equal(message: Event) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_numbers_that_are_none_travel() -> None:
    result = SplitResult(
        seed=0, model="m", split="s", metric="nll", value=float("nan"), low=-math.inf, n=1
    )
    back = decode(encode(result))
    assert isinstance(back, SplitResult)
    assert math.isnan(back.value)
    assert back.low == -math.inf


@pytest.mark.parametrize("line", [b"", b"Traceback", b'{"type": "unknown"}', b'{"type": "event"}'])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValidationError):
        decode(line)
