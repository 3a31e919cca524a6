"""What is wrong with a request: the first fault raised, or all of them collected.

A job that is made stops at the first fault. Who asks what a job would be wants to hear of every
one, so the same checks run to the end there, each as far as those before it allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from core.errors import InvalidRequest, InvalidSpec

Given = ParamSpec("Given")
Made = TypeVar("Made")


class Several(InvalidSpec):
    """Faults that were found together, as one sentence after another; `each` has them apart."""

    def __init__(self, each: Sequence[InvalidRequest], message: str, *, code: str) -> None:
        super().__init__(message, code=code, param=each[0].param)
        self.each = list(each)


class Faults:
    """Runs checks; what they raise goes out at once, or into `found`."""

    def __init__(self, *, collect: bool = False) -> None:
        self.found: list[InvalidRequest] = []
        self._collect = collect

    def attempt(
        self, check: Callable[Given, Made], *args: Given.args, **options: Given.kwargs
    ) -> Made | None:
        """What the check returns; None when it found a fault that is collected."""
        try:
            return check(*args, **options)
        except InvalidRequest as fault:
            if not self._collect:
                raise
            self.found.extend(fault.each if isinstance(fault, Several) else [fault])
            return None
