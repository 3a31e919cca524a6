"""Keys, projects, what they used and what was changed. None of this is OpenAI's."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.access.limits import Limits, ProjectLimits
from core.access.scopes import Scope
from core.records.tables import ApiKey, AuditLine, Project
from core.records.usage import Report, Used

MAX_OVERLAP = 30 * 86400  # seconds that a secret may go on being valid after a rotation
DEFAULT_OVERLAP = 86400
MAX_LIFE = 10 * 366 * 86400  # seconds

_VISIBLE = r"[^\x00\s\x1c-\x1f\x85\ufeff]"  # what some language or other calls white space
Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=64,
        pattern=rf"^[^\x00]*{_VISIBLE}[^\x00]*$",
    ),
]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KeyRequest(_Closed):
    """A key to be made. It has no scope and no longer life than the key that makes it."""

    name: Name = Field(description="What the key is for.")
    scopes: list[Scope] = Field(min_length=1)
    expires_in: int | None = Field(
        None, ge=1, le=MAX_LIFE, description="Seconds. Default: when the key that makes it expires."
    )
    project: str | None = Field(
        None, max_length=128, description="Whose key. Default: your own project's. Scope admin."
    )


class RotationRequest(_Closed):
    """How a key is to get a new secret."""

    overlap: int = Field(
        DEFAULT_OVERLAP,
        ge=0,
        le=MAX_OVERLAP,
        description="Seconds for which the present secret goes on being valid.",
    )


class ProjectRequest(_Closed):
    """A project to be made."""

    name: Name


class KeyObject(BaseModel):
    """A key without its secret."""

    id: str
    object: Literal["api_key"] = "api_key"
    project: str
    name: str
    prefix: str = Field(description="How its secret begins.")
    scopes: list[str]
    created_at: int
    expires_at: int | None
    last_used_at: int | None = Field(description="At most some ten seconds behind.")
    revoked_at: int | None
    limits: Limits


class KeyWithSecret(KeyObject):
    """A key with its secret, which is shown this once."""

    secret: str


class KeyRevoked(BaseModel):
    """The key opens nothing any more. It stays in lists."""

    id: str
    object: Literal["api_key"] = "api_key"
    deleted: Literal[True] = True


class ProjectObject(BaseModel):
    """A project."""

    id: str
    object: Literal["project"] = "project"
    name: str
    created_at: int
    limits: ProjectLimits


class ProjectDeleted(BaseModel):
    """The project is being removed."""

    id: str
    object: Literal["project"] = "project"
    deleted: Literal[True] = True


class UsageNumbers(BaseModel):
    """What was used in a month."""

    requests: int
    jobs: int = Field(description="Created in the month.")
    device_seconds: float = Field(description="Seconds of the month in which jobs ran.")
    stored_bytes: int = Field(description="Of files and models that were not deleted, at present.")


class KeyUsage(UsageNumbers):
    """What one key used. `key` is null for what was made before keys were noted."""

    key: str | None


class UsageObject(UsageNumbers):
    """What a project used in a month, all keys together and each alone."""

    object: Literal["usage"] = "usage"
    project: str
    month: str
    limits: Limits
    keys: list[KeyUsage]


class AuditObject(BaseModel):
    """One change."""

    id: str
    object: Literal["audit_line"] = "audit_line"
    created_at: float = Field(description="Seconds since 1970.")
    project: str
    key: str | None = Field(description="Who; null is the operator at the command line.")
    action: str = Field(description="What: file.delete, key.rotate, ...")
    object_id: str = Field(description="To which object.")
    address: str | None = Field(description="From where.")
    request_id: str | None
    details: str | None = Field(description="JSON of what the action alone does not say.")


def key_fields(row: ApiKey, limits: Limits) -> dict[str, Any]:
    """A key's row on the wire, without a secret."""
    return {
        "id": row.id,
        "project": row.project_id,
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes,
        "created_at": int(row.created_at),
        "expires_at": _seconds(row.expires_at),
        "last_used_at": _seconds(row.last_used_at),
        "revoked_at": _seconds(row.revoked_at),
        "limits": limits,
    }


def project_object(row: Project, limits: ProjectLimits) -> ProjectObject:
    """A project's row on the wire."""
    return ProjectObject(id=row.id, name=row.name, created_at=int(row.created_at), limits=limits)


def audit_object(row: AuditLine) -> AuditObject:
    """A line's row on the wire."""
    return AuditObject(
        id=row.id,
        created_at=row.created_at,
        project=row.project_id,
        key=row.key_id,
        action=row.action,
        object_id=row.object_id,
        address=row.address,
        request_id=row.request_id,
        details=None if row.details is None else json.dumps(row.details, sort_keys=True),
    )


def usage_object(project_id: str, report: Report, limits: Limits) -> UsageObject:
    """A month's report on the wire."""
    return UsageObject(
        project=project_id,
        month=report.month.name,
        limits=limits,
        keys=[KeyUsage(key=key_id, **_numbers(used)) for key_id, used in report.by_key.items()],
        **_numbers(report.together),
    )


def _numbers(used: Used) -> dict[str, Any]:
    return UsageNumbers(**asdict(used)).model_dump()


def _seconds(at: float | None) -> int | None:
    return None if at is None else int(at)
