"""Models: bases that the operator registered, and what jobs made of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, insert, or_, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, Forbidden, NotFound
from core.ids import base_model_id, job_of_model
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import every, first
from core.records.tables import Alias, Job, Model


def register_base(
    session: Session,
    name: str,
    *,
    object_key: str,
    sha256: str,
    size: int,
    members: dict[str, Any],
    info: dict[str, Any],
) -> Model:
    """The base of that name, for every project. Conflict when the name has other weights."""
    model_id = base_model_id(name)
    found = first(session, select(Model).where(Model.id == model_id), Model)
    if found is not None and found.sha256 != sha256:
        raise Conflict(
            f"{model_id} is registered with other weights (sha256 {found.sha256[:12]}..., "
            f"not {sha256[:12]}...); jobs name bases, so register these under another name."
        )
    if found is not None:
        return found
    row = first(
        session,
        insert(Model)
        .values(
            id=model_id,
            kind="base",
            object_key=object_key,
            sha256=sha256,
            size=size,
            members=members,
            info=info,
            metrics={},
            created_at=now(),
        )
        .returning(Model),
        Model,
    )
    assert row is not None
    return row


def get(session: Session, project_id: str, name: str, *, param: str | None = None) -> Model:
    """A base or the project's own model, by its id or by an alias of the project. NotFound for
    unknown, foreign and deleted ones alike; of one that is still being made it says so."""
    row = first(session, _named(project_id, name), Model)
    if row is None:
        raise _absent(session, project_id, name, param)
    return row


def lock(session: Session, project_id: str, name: str) -> Model:
    """The same, and nobody deletes it before this transaction ends."""
    row = first(session, _named(project_id, name).with_for_update(of=Model), Model)
    if row is None:
        raise _absent(session, project_id, name, "model")
    return row


def list_models(
    session: Session,
    project_id: str,
    *,
    kind: str | None = None,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 100,
) -> Page[Model]:
    """One page of bases and the project's own models."""
    filters: list[ColumnElement[bool]] = [Model.deleted_at.is_(None)]
    if kind is not None:
        filters.append(Model.kind == kind)
    return paginate(
        session, Model, _visible(project_id), filters, after=after, order=order, limit=limit
    )


def checkpoints(
    session: Session,
    project_id: str,
    job_id: str,
    *,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 10,
) -> Page[Model]:
    """One page of the checkpoints that a job published."""
    return paginate(
        session,
        Model,
        Model.project_id == project_id,
        [Model.job_id == job_id, Model.kind == "checkpoint", Model.deleted_at.is_(None)],
        after=after,
        order=order,
        limit=limit,
    )


def of_job(session: Session, project_id: str, job_id: str) -> list[Model]:
    """Everything a job published, checkpoints included, oldest first."""
    return every(
        session,
        select(Model)
        .where(Model.project_id == project_id, Model.job_id == job_id, Model.deleted_at.is_(None))
        .order_by(Model.created_at, Model.id),
        Model,
    )


def delete(session: Session, project_id: str, model_id: str) -> Model:
    """The model is gone for its project; what it was.

    Raises Forbidden for a base, which is the operator's, and Conflict for an alias, and for a model
    that one points at.
    """
    row = lock(session, project_id, model_id)
    if row.id != model_id:
        raise Conflict(
            f"{model_id} is an alias of {row.id}; delete it with DELETE /v1/aliases/{model_id}, or "
            "the model by its id.",
            code="alias_is_no_model",
        )
    if row.project_id is None:
        raise Forbidden(f"{model_id} is a base model; only the operator can remove it.")
    pointing = select(Alias.name).where(Alias.project_id == project_id, Alias.model_id == model_id)
    names = list(session.execute(pointing.order_by(Alias.name)).scalars())
    if names:
        raise Conflict(
            f"{model_id} is what {', '.join(names)} points at; point it elsewhere or delete the "
            "alias first.",
            code="model_has_alias",
        )
    session.execute(
        update(Model)
        .where(Model.project_id == project_id, Model.id == model_id)
        .values(deleted_at=now()),
        execution_options={"synchronize_session": False},
    )
    return row


def has_twin(session: Session, row: Model) -> bool:
    """Whether another model of its job, a checkpoint for instance, is the same object."""
    twin = select(Model.id).where(
        Model.job_id == row.job_id,
        Model.id != row.id,
        Model.object_key == row.object_key,
        Model.deleted_at.is_(None),
    )
    return session.execute(twin.limit(1)).first() is not None


def expire_checkpoints(session: Session, seconds: float) -> list[str]:
    """Deletes the checkpoints that are older than that and have no alias, in any project; their
    ids."""
    old = update(Model).where(
        Model.kind == "checkpoint",
        Model.deleted_at.is_(None),
        Model.created_at < now() - seconds,
        Model.id.not_in(select(Alias.model_id)),
    )
    options = {"synchronize_session": False}
    expired = old.values(deleted_at=now()).returning(Model.id)
    return list(session.execute(expired, execution_options=options).scalars())


def _named(project_id: str, name: str) -> Select[Model]:
    """By the id where it has a colon, as all have, else by the alias."""
    if ":" in name:
        wanted = Model.id == name
    else:
        target = select(Alias.model_id).where(Alias.project_id == project_id, Alias.name == name)
        wanted = Model.id == target.scalar_subquery()
    return select(Model).where(_visible(project_id), wanted, Model.deleted_at.is_(None))


def _absent(session: Session, project_id: str, name: str, param: str | None) -> NotFound:
    job_id = job_of_model(name)
    made = select(Job.status).where(
        Job.project_id == project_id, Job.id == job_id, Job.finished_at.is_(None)
    )
    status = None if job_id is None else session.execute(made).scalar_one_or_none()
    if status is not None:
        return NotFound(
            f"{name} is not there yet: {job_id}, which is to make it, is {status}. Ask again when "
            "it has succeeded.",
            code="model_not_ready",
            param=param,
        )
    return NotFound(
        f"There is no model {name!r}; list models with GET /v1/models.",
        code="model_not_found",
        param=param,
    )


def _visible(project_id: str) -> ColumnElement[bool]:
    return or_(Model.project_id == project_id, Model.project_id.is_(None))
