"""OpenAI's list shape and the query that asks for a page."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel

Item = TypeVar("Item")

# OpenAI's files take a limit of 10,000; pages here are cut at `core.records.pages.MAX_LIMIT`,
# and `has_more` says so.
Limit = Annotated[int, Query(ge=1, le=10_000, description="Most items of the page.")]
After = Annotated[
    str | None, Query(max_length=128, description="Id of the last item of the page before.")
]
Order = Annotated[Literal["asc", "desc"], Query(description="By time of creation.")]


class ListOf(BaseModel, Generic[Item]):
    """One page."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


def list_of(items: list[Any], has_more: bool) -> ListOf[Any]:
    """The page of these items, each of which has an `id`."""
    first, last = (items[0].id, items[-1].id) if items else (None, None)
    return ListOf(data=items, first_id=first, last_id=last, has_more=has_more)
