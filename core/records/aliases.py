"""Names that point at models. A name is resolved by every look-up of a model
(`core.records.models.get`), so it stands wherever a model's id may."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.ids import new_id
from core.records import models
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import first
from core.records.tables import Alias

MAX_ALIASES = 1000  # of a project


def get(session: Session, project_id: str, name: str) -> Alias:
    """The project's alias of that name. Raises NotFound."""
    row = _find(session, project_id, name)
    if row is None:
        raise NotFound(
            f"There is no alias {name!r}; list yours with GET /v1/aliases.",
            code="alias_not_found",
            param="alias",
        )
    return row


def list_aliases(
    session: Session, project_id: str, *, after: str | None, order: Order, limit: int
) -> Page[Alias]:
    """One page of the project's aliases."""
    return paginate(
        session, Alias, Alias.project_id == project_id, after=after, order=order, limit=limit
    )


def point(
    session: Session, project_id: str, name: str, model_id: str, expected: str | None = None
) -> Alias:
    """The alias, new or not, points at that model from this transaction on.

    Raises NotFound for a model the project cannot see, and Conflict when the alias does not point
    at `expected` or the project has MAX_ALIASES.
    """
    model = models.lock(session, project_id, model_id)
    row = _find(session, project_id, name)
    at = None if row is None else row.model_id
    if expected is not None and at != expected:
        raise Conflict(
            f"{name} points at {at or 'nothing'}, not at {expected}; somebody was faster. Read it "
            "again and decide anew.",
            code="alias_has_moved",
            param="expected_model",
        )
    if row is None:
        _create(session, project_id, name, model.id)
    elif at != model.id:
        _move(session, row, model.id)
    return get(session, project_id, name)


def roll_back(session: Session, project_id: str, name: str) -> Alias:
    """The alias points at what it pointed at before; once more, and it is where it was.

    Raises NotFound, and Conflict where there is no model before this one, or none any more.
    """
    row = get(session, project_id, name)
    if row.previous_model_id is None:
        raise Conflict(
            f"{name} never pointed anywhere but at {row.model_id}.", code="nothing_to_roll_back_to"
        )
    try:
        before = models.lock(session, project_id, row.previous_model_id)
    except NotFound as fault:
        raise Conflict(
            f"{row.previous_model_id}, at which {name} pointed before, was deleted; point it at "
            "another model with PUT.",
            code="nothing_to_roll_back_to",
        ) from fault
    _move(session, row, before.id)
    return get(session, project_id, name)


def remove(session: Session, project_id: str, name: str) -> None:
    """The name means nothing any more; the model stays. Raises NotFound."""
    row = get(session, project_id, name)
    session.execute(
        delete(Alias).where(Alias.id == row.id), execution_options={"synchronize_session": False}
    )


def _find(session: Session, project_id: str, name: str) -> Alias | None:
    return first(
        session, select(Alias).where(Alias.project_id == project_id, Alias.name == name), Alias
    )


def _create(session: Session, project_id: str, name: str, model_id: str) -> None:
    count = select(func.count()).select_from(Alias).where(Alias.project_id == project_id)
    if (found := session.execute(count).scalar_one()) >= MAX_ALIASES:
        raise Conflict(
            f"The project has {found} aliases, the most there may be; delete one.",
            code="too_many_aliases",
        )
    at = now()
    session.execute(
        insert(Alias).values(
            id=new_id("alias"),
            project_id=project_id,
            name=name,
            model_id=model_id,
            created_at=at,
            changed_at=at,
        )
    )


def _move(session: Session, row: Alias, model_id: str) -> None:
    session.execute(
        update(Alias)
        .where(Alias.id == row.id)
        .values(model_id=model_id, previous_model_id=row.model_id, changed_at=now()),
        execution_options={"synchronize_session": False},
    )
