"""What keys and projects are limited to."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.access.limits import Limits, ProjectLimits
from core.records.rows import every, upsert
from core.records.tables import LimitRow

_COLUMNS = tuple(ProjectLimits.model_fields)


def of(session: Session, owner_ids: Sequence[str], *, lock: bool = False) -> dict[str, Limits]:
    """The limits of these keys and projects. With `lock`, whoever else asks for those that are
    limited waits until this transaction ends."""
    statement = select(LimitRow).where(LimitRow.owner_id.in_(owner_ids)).order_by(LimitRow.owner_id)
    rows = every(session, statement.with_for_update() if lock else statement, LimitRow)
    found = {row.owner_id: _limits(row) for row in rows}
    return {owner_id: found.get(owner_id, Limits()) for owner_id in owner_ids}


def put(session: Session, project_id: str, owner_id: str, limits: Limits) -> None:
    """The owner, a key of the project or the project itself, is limited to these from now on."""
    columns = dict.fromkeys(_COLUMNS) | limits.model_dump()
    values = {"owner_id": owner_id, "project_id": project_id, **columns}
    upsert(session, LimitRow, values, key=["owner_id"], replace=_COLUMNS)


def of_project(session: Session, project_ids: Sequence[str]) -> dict[str, ProjectLimits]:
    """The limits of these projects, with those that only projects have."""
    rows = every(session, select(LimitRow).where(LimitRow.owner_id.in_(project_ids)), LimitRow)
    found = {row.owner_id: ProjectLimits.model_validate(_values(row, _COLUMNS)) for row in rows}
    return {project_id: found.get(project_id, ProjectLimits()) for project_id in project_ids}


def _limits(row: LimitRow) -> Limits:
    return Limits.model_validate(_values(row, tuple(Limits.model_fields)))


def _values(row: LimitRow, names: Sequence[str]) -> dict[str, int | None]:
    return {name: getattr(row, name) for name in names}
