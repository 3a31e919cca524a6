"""The corruptions' names, and those of the splits that they make of a split."""

from __future__ import annotations

from collections.abc import Iterable

FAMILIES: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
"""The paper's four families and their corruptions, in its order."""

CORRUPTIONS: tuple[str, ...] = tuple(name for names in FAMILIES.values() for name in names)

SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)

PREFIX = "corruption."
"""What the names of built-in shifts begin with, and no other split's."""

_ALL = "all"


def shift_name(corruption: str, severity: int) -> str:
    """The split made by a corruption, such as `corruption.gaussian_noise.3`.

    Raises ValueError when there is no such corruption or severity.
    """
    check(corruption, severity)
    return f"{PREFIX}{corruption}.{severity}"


def parse_shift_name(split: str) -> tuple[str, int]:
    """The corruption and severity of a name that `shift_name` made.

    Raises ValueError when it did not.
    """
    corruption, severity = _parts(split)
    check(corruption, severity)
    return corruption, severity


def expand_shift_names(names: Iterable[str]) -> list[str]:
    """The splits that such names ask for, each once, in the paper's order and by severity.

    A name is one of `shift_name`'s, or has a family or `all` in the corruption's place:
    `corruption.noise.3`, `corruption.all.3`. Raises ValueError with the choices.
    """
    found = set()
    for name in names:
        wanted, severity = _parts(name)
        members = CORRUPTIONS if wanted == _ALL else FAMILIES.get(wanted, (wanted,))
        for corruption in members:
            check(corruption, severity)
            found.add((CORRUPTIONS.index(corruption), severity))
    return [shift_name(CORRUPTIONS[place], severity) for place, severity in sorted(found)]


def is_shift_name(split: str) -> bool:
    """Whether a split's name is, or looks like, a built-in shift's."""
    return split.startswith(PREFIX)


def check(corruption: str, severity: int) -> None:
    """Raises ValueError when there is no such corruption or severity."""
    if corruption not in CORRUPTIONS:
        raise ValueError(
            f"unknown corruption {corruption!r}; choose one of {_listed(CORRUPTIONS)}; of the "
            f"families {_listed(tuple(FAMILIES))}; or {_ALL}"
        )
    if severity not in SEVERITIES:
        raise ValueError(f"unknown severity {severity!r}; choose one of {_listed(SEVERITIES)}")


def _parts(name: str) -> tuple[str, int]:
    """What stands between the prefix and the severity, and the severity."""
    corruption, _, severity = name.removeprefix(PREFIX).partition(".")
    if not name.startswith(PREFIX) or severity not in map(str, SEVERITIES):
        raise ValueError(
            f"{name!r} names no built-in shift; they are called {PREFIX}NAME.SEVERITY, "
            f"such as {shift_name(CORRUPTIONS[0], 3)}, with a severity of {_listed(SEVERITIES)}"
        )
    return corruption, int(severity)


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(map(str, values))
