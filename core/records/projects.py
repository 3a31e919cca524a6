"""Projects: who owns things. Every key belongs to one and sees nothing of another's."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.ids import new_id
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import first
from core.records.tables import Project

_IS_THERE = Project.deleted_at.is_(None)


def create(session: Session, name: str) -> Project:
    """A new project. Conflict when there is one of that name."""
    found = by_name(session, name)
    if found is not None:
        raise Conflict(
            f"There is a project {name!r} already, {found.id}; nothing was changed.",
            code="project_exists",
            param="name",
        )
    return _insert(session, name)


def find_or_create(session: Session, name: str) -> Project:
    """The project of that name, made when there is none."""
    return by_name(session, name) or _insert(session, name)


def by_name(session: Session, name: str) -> Project | None:
    """The project of that name, when there is one."""
    return first(session, select(Project).where(Project.name == name), Project)


def get(session: Session, project_id: str, *, param: str = "project_id") -> Project:
    """The project. For those who may know of every project."""
    row = first(session, select(Project).where(Project.id == project_id, _IS_THERE), Project)
    if row is None:
        raise NotFound(
            f"There is no project {project_id!r}; list them with GET /v1/projects.",
            param=param,
        )
    return row


def list_projects(
    session: Session, *, after: str | None = None, order: Order = "desc", limit: int = 20
) -> Page[Project]:
    """One page of all projects. For those who may know of every project."""
    return paginate(session, Project, _IS_THERE, after=after, order=order, limit=limit)


def _insert(session: Session, name: str) -> Project:
    row = first(
        session,
        insert(Project).values(id=new_id("proj"), name=name, created_at=now()).returning(Project),
        Project,
    )
    assert row is not None
    return row
