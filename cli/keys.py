"""`lipsum keys ...`, `lipsum projects ...` and `lipsum limit`: access, as its operator gives it.

They work on the database itself, so that whoever runs the service can always mend who may use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from cli.prepare import DEFAULT_PROJECT, prepare
from core.access.key_hash import KeyHash, write_private
from core.access.limits import Limits, ProjectLimits
from core.access.scopes import SCOPES, USER_SCOPES, Scope
from core.errors import InvalidRequest, NotFound
from core.records import audit, keys, limits, projects
from core.records.audit import Actor
from core.records.clock import read_clock
from core.records.engine import Database, Session
from core.records.pages import MAX_LIMIT
from core.records.tables import ApiKey, Project
from core.settings import Settings

DAY = 86400.0  # seconds


def create(
    settings: Settings, name: str, project: str | None, scopes: Sequence[str], days: float | None
) -> str:
    """The secret of a new key, by default one that may do what a user does."""
    chosen = _known(scopes) or USER_SCOPES
    with _writing(settings) as session:
        owner = _project(session, project)
        key, secret = keys.create(
            session,
            owner.id,
            name,
            KeyHash.from_settings(settings),
            scopes=chosen,
            expires_at=None if days is None else read_clock(session) + days * DAY,
        )
        audit.note(session, Actor(owner.id, None), "key.create", key.id, scopes=key.scopes)
    return secret


def show(settings: Settings, project: str | None) -> None:
    """A table of a project's keys, without secrets."""
    with _writing(settings) as session:
        owner = _project(session, project)
        found = keys.list_keys(session, owner.id, order="asc", limit=MAX_LIMIT).items
    table = Table("id", "name", "begins with", "scopes", "made", "expires", "last used", "revoked")
    for key in found:
        times = (key.created_at, key.expires_at, key.last_used_at, key.revoked_at)
        scopes = "user" if set(key.scopes) == set(USER_SCOPES) else " ".join(key.scopes)
        table.add_row(key.id, key.name, key.prefix + "...", scopes, *(_when(at) for at in times))
    Console(highlight=False).print(table)


def rotate(settings: Settings, key_id: str, overlap: float) -> str:
    """A new secret; the present one goes on being valid for `overlap` seconds."""
    hashing = KeyHash.from_settings(settings)
    with _writing(settings) as session:
        is_kept = _is_kept(session, settings, hashing, key_id)
        key, secret = keys.rotate(session, None, key_id, hashing, overlap)
        audit.note(session, Actor(key.project_id, None), "key.rotate", key_id, overlap=overlap)
    if is_kept:
        write_private(settings.api_key_path, secret, replace=True)
    return secret


def revoke(settings: Settings, key_id: str) -> None:
    """The key opens nothing any more."""
    with _writing(settings) as session:
        keys.revoke(session, None, key_id)
        key = keys.get(session, None, key_id)
        audit.note(session, Actor(key.project_id, None), "key.revoke", key_id)


def create_project(settings: Settings, name: str) -> str:
    """The id of a new project."""
    with _writing(settings) as session:
        row = projects.create(session, name)
        audit.note(session, Actor(row.id, None), "project.create", row.id, name=name)
    return row.id


def show_projects(settings: Settings) -> None:
    """A table of all projects."""
    with _writing(settings) as session:
        found = projects.list_projects(session, order="asc", limit=MAX_LIMIT).items
        limited = limits.of_project(session, [row.id for row in found])
    table = Table("id", "name", "made", "limits")
    for row in found:
        table.add_row(row.id, row.name, _when(row.created_at), _limits(limited[row.id]))
    Console(highlight=False).print(table)


def limit(settings: Settings, owner: str, wanted: ProjectLimits) -> str:
    """Limits a key (by id) or a project (by id or name); what it is limited to now, in words.

    Raises InvalidRequest when a key is to be limited in what only projects are.
    """
    if owner.startswith("key-") and wanted.running_jobs is not None:
        raise InvalidRequest(
            f"running_jobs is {wanted.running_jobs} for {owner}; only a project has that limit. "
            "Name the project, or limit the key's concurrent_jobs.",
            code="limit_of_projects",
        )
    with _writing(settings) as session:
        if owner.startswith("key-"):
            project_id, what = keys.get(session, None, owner).project_id, "key"
        else:
            owner = project_id = _project(session, owner).id
            what = "project"
        limits.put(session, project_id, owner, wanted)
        changed = wanted.model_dump(exclude_none=True)
        audit.note(session, Actor(project_id, None), f"{what}.limit", owner, **changed)
    return f"{owner}: {_limits(wanted)}"


@contextmanager
def _writing(settings: Settings) -> Iterator[Session]:
    prepare(settings)
    database = Database(settings.resolved_database_url)
    try:
        with database.write() as session:
            yield session
    finally:
        database.close()


def _project(session: Session, named: str | None) -> Project:
    """By name or id; the default one for None."""
    if named is None:
        return projects.find_or_create(session, DEFAULT_PROJECT)
    found = projects.by_name(session, named)
    try:
        return found or projects.get(session, named)
    except NotFound as error:
        raise NotFound(
            f"There is no project {named!r}; make it with `lipsum projects create {named}`."
        ) from error


def _known(scopes: Sequence[str]) -> list[Scope]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise InvalidRequest(
            f"{', '.join(unknown)} is no scope; the scopes are {', '.join(SCOPES)}.",
            code="unknown_scope",
        )
    return [scope for scope in SCOPES if scope in scopes]


def _is_kept(session: Session, settings: Settings, hashing: KeyHash, key_id: str) -> bool:
    """Whether it is the key in the data directory, which other commands use."""
    if not settings.api_key_path.is_file():
        return False
    secret = settings.api_key_path.read_text(encoding="utf-8").strip()
    found: ApiKey | None = keys.opened_by(session, secret, hashing)
    return found is not None and found.id == key_id


def _limits(wanted: Limits) -> str:
    found = wanted.model_dump(exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in found.items()) or "not limited"


def _when(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
