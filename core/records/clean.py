"""What both databases can store of what a trainer may say.

PostgreSQL refuses NUL in text and NaN in JSON, SQLite turns NaN into NULL. Neither is a reason to
lose a job's results: NUL is dropped and a number that is not finite becomes null.
"""

from __future__ import annotations

import math
from typing import Any


def clean_text(text: str) -> str:
    """The text without NUL characters."""
    return text.replace("\x00", "")


def clean_number(value: float | None) -> float | None:
    """The number, or None when it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def clean_json(value: Any) -> Any:
    """The value with every text and number inside it cleaned."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return clean_number(value)
    if isinstance(value, dict):
        return {clean_text(str(name)): clean_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    return value
