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
REQUIREMENT = re.compile(rf"({_NAME})(?:(=|>=|<=)({_VALUE}))?")
_LABEL = re.compile(rf"({_NAME})(?:=({_VALUE}))?")
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmgt]?)", re.IGNORECASE)
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


def check_requirement(text: str) -> str:
    """The requirement, when it is one. Raises ValueError."""
    found = REQUIREMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no requirement; write name, name=value or name>=number")
    if found[2] in (">=", "<=") and _number(found[3]) is None:
        raise ValueError(f"{text!r} compares with {found[3]!r}, which is no number such as 40g")
    return text


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
    name, relation, wanted = found.groups()
    has = labels.get(name)
    if has is None or relation is None:
        return has is not None
    if relation == "=":
        return has == wanted
    mine, bound = _number(has), _number(wanted)
    if mine is None or bound is None:
        return False
    return mine >= bound if relation == ">=" else mine <= bound


def _number(text: str) -> float | None:
    found = _NUMBER.fullmatch(text)
    return None if found is None else float(found[1]) * 1024 ** _POWERS[found[2].lower()]
