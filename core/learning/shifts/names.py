"""The corruptions' names, and those of the splits that they make of a split."""

from __future__ import annotations

FAMILIES: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
"""The paper's four families and their corruptions, in its order."""

CORRUPTIONS: tuple[str, ...] = tuple(name for names in FAMILIES.values() for name in names)

SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)

_PREFIX = "corruption"


def shift_name(corruption: str, severity: int) -> str:
    """The split made by a corruption, such as `corruption.gaussian_noise.3`.

    Raises ValueError when there is no such corruption or severity.
    """
    check(corruption, severity)
    return f"{_PREFIX}.{corruption}.{severity}"


def parse_shift_name(split: str) -> tuple[str, int]:
    """The corruption and severity of a name that `shift_name` made.

    Raises ValueError when it did not.
    """
    prefix, _, rest = split.partition(".")
    corruption, _, severity = rest.partition(".")
    if prefix != _PREFIX or severity not in map(str, SEVERITIES):
        raise ValueError(
            f"{split!r} names no built-in shift; they are called {_PREFIX}.NAME.SEVERITY, "
            f"such as {shift_name(CORRUPTIONS[0], 3)}, with a severity of {_listed(SEVERITIES)}"
        )
    check(corruption, int(severity))
    return corruption, int(severity)


def check(corruption: str, severity: int) -> None:
    """Raises ValueError when there is no such corruption or severity."""
    if corruption not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {corruption!r}; choose one of {_listed(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"unknown severity {severity!r}; choose one of {_listed(SEVERITIES)}")


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(map(str, values))
