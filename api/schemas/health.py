"""The health check's answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """The process answers; nothing more is said to strangers."""

    status: Literal["ok"] = "ok"
