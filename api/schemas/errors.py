"""OpenAI's error body."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    """One fault."""

    message: str = Field(description="What was wrong, the value seen and what to do.")
    type: Literal["invalid_request_error", "server_error"]
    param: str | None = Field(description="The field or file at fault.")
    code: str = Field(description="For machines; never changes meaning.")


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
