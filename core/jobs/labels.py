"""What a worker says of itself, and what a job asks of the worker that takes it.

    labels of a worker    gpu-mem=80g region=eu licensed
    asked by a job        gpu-mem>=40g, region=eu, licensed

Numbers may end in k, m, g or t, powers of 1024. What a job asks is kept in one order, so that equal
wishes are equal texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MAX_REQUIREMENTS = 8
_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_VALUE = r"[A-Za-z0-9._-]{1,63}"
_NUMBER, _UNIT = r"[0-9]{1,15}(?:\.[0-9]{1,9})?", r"[kmgtKMGT]?"
REQUIREMENT = re.compile(rf"({_NAME})(?:(=)({_VALUE})|(>=|<=)({_NUMBER}{_UNIT}))?")
_LABEL = re.compile(rf"({_NAME})(?:=({_VALUE}))?")
_AMOUNT = re.compile(rf"({_NUMBER})({_UNIT})")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_labels(text: str) -> dict[str, str]:
    """Labels with spaces between them; one without a value has the value "". Raises ValueError."""
    labels = {}
    for word in text.split():
        found = _LABEL.fullmatch(word)
        if found is None:
            raise ValueError(f"{word!r} is no label; write name or name=value")
        labels[found[1]] = found[2] or ""
    return labels


def one_text(requirements: Iterable[str]) -> str | None:
    """Requirements as the one text they are kept as; None for none."""
    return " ".join(sorted(set(requirements))) or None


def meets(labels: Mapping[str, str], requirements: str | None) -> bool:
    """Whether a worker with these labels may take a job that asks for this, as `one_text`."""
    return all(_meets(labels, each) for each in (requirements or "").split())


def _meets(labels: Mapping[str, str], requirement: str) -> bool:
    found = REQUIREMENT.fullmatch(requirement)
    if found is None:
        return False  # of a later version of the service
    name, is_text, text, relation, bound = found.groups()
    has = labels.get(name)
    if has is None:
        return False
    if relation is None:
        return not is_text or has == text
    mine, limit = _amount(has), _amount(bound)
    if mine is None or limit is None:
        return False
    return mine >= limit if relation == ">=" else mine <= limit


def _amount(text: str) -> float | None:
    found = _AMOUNT.fullmatch(text)
    return None if found is None else float(found[1]) * 1024 ** _POWERS[found[2].lower()]
