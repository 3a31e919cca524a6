"""Numbers and names as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from core.learning.comparison.document import SELECTION_MARK, Average, Value


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def spread_percent(value: Value | None) -> str:
    """Mean and, with several seeds, standard deviation, in per cent; nothing for no value."""
    if value is None:
        return ""
    return percent(value.mean) + ("" if value.sd is None else f" ± {percent(value.sd)}")


def points(difference: float) -> str:
    """A signed difference of shares, in points."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def interval(low: float, high: float) -> str:
    return f"{points(low)} to {points(high)}"


def duration(seconds: float) -> str:
    """In the unit that reads best."""
    unit, length = "s", 1
    for larger, its_length in (("min", 60), ("h", 3600)):
        if seconds >= 2 * its_length:
            unit, length = larger, its_length
    value = seconds / length
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def marked(name: str, selection: bool) -> str:
    """A name with the mark of figures that selection touched."""
    return f"{name}\N{NO-BREAK SPACE}{SELECTION_MARK}" if selection else name


def mean_over(average: Average) -> str:
    """`mean over 4 shifted splits`, or the one member by name."""
    kind = "shifted split" if average.scope == "shifted" else "corruption"
    if len(average.members) == 1:
        return f"the one {kind}, {average.members[0]}"
    return f"mean over {counted(len(average.members), kind)}"


def members_of(average: Average) -> str:
    """The members by name; built-in corruptions with their severities, `fog 1, 3, 5; snow 1`."""
    if average.scope != "corruptions":
        return ", ".join(average.members)
    severities: dict[str, list[str]] = {}
    for split in average.members:
        name, _, severity = split.partition(".")[2].rpartition(".")
        severities.setdefault(name, []).append(severity)
    return "; ".join(f"{name} {', '.join(found)}" for name, found in severities.items())
