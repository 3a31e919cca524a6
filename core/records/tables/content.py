"""What is kept for users: files, uploads, data sets, models."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.records.tables.base import Base, one_of, partial

UPLOAD_STATUSES = ("pending", "completed", "cancelled", "expired")


class File(Base):
    """A file a user uploaded, or one a job made (`purpose` `fine-tune-results`, `job_id` set)."""

    __tablename__ = "files"
    __table_args__ = (
        one_of("status", ("uploaded", "processed", "error")),
        ForeignKeyConstraint(
            ["project_id", "dataset_version"],
            ["dataset_versions.project_id", "dataset_versions.id"],
        ),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "job_id", "project_id"),
        partial(
            "ix_files_of_datasets", "dataset_version IS NOT NULL", "project_id", "dataset_version"
        ),
        partial(
            "ix_files_deleted",
            "deleted_at IS NOT NULL AND purged_at IS NULL",
            *("project_id", "deleted_at"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    purpose: Mapped[str]
    status: Mapped[str]
    status_details: Mapped[str | None]
    bytes: Mapped[int]
    sha256: Mapped[str]
    object_key: Mapped[str] = mapped_column(index=True)
    dataset_version: Mapped[str | None]
    structure: Mapped[dict[str, Any] | None]  # splits and classes, as read from the archive's names
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    key_id: Mapped[str | None]  # of the key that made it or its job; NULL where that was not noted
    created_at: Mapped[float]
    deleted_at: Mapped[float | None]
    purged_at: Mapped[float | None]  # when it came to name its object no more


class Upload(Base):
    """A file on its way in, in parts. When it has ended, the sweeper deletes the parts' objects."""

    __tablename__ = "uploads"
    __table_args__ = (
        one_of("status", UPLOAD_STATUSES),
        CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("(status = 'completed') = (file_id IS NOT NULL)", name="file"),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "purged_at", "ended_at"),  # what the sweeper looks for
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    purpose: Mapped[str]
    mime_type: Mapped[str]
    bytes: Mapped[int]  # as declared: the parts must hold exactly as many
    status: Mapped[str]
    file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"))
    completing_until: Mapped[float | None]  # an API process puts the parts together until then
    signed_until: Mapped[float | None]  # clients may write parts into the store until then
    created_at: Mapped[float]
    expires_at: Mapped[float]
    ended_at: Mapped[float | None]
    purged_at: Mapped[float | None]  # when the sweeper deleted the parts' objects


class UploadPart(Base):
    """Bytes of an upload. One sent twice is one: `slot` is its number, or else its digest."""

    __tablename__ = "upload_parts"
    __table_args__ = (UniqueConstraint("upload_id", "slot"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    slot: Mapped[str]
    number: Mapped[int | None]
    bytes: Mapped[int]
    sha256: Mapped[str]
    object_key: Mapped[str]
    created_at: Mapped[float]


class DatasetVersion(Base):
    """One archive's content, immutable. Its id is the content's digest, the same in any project."""

    __tablename__ = "dataset_versions"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    archive_key: Mapped[str]
    archive_size: Mapped[int]
    archive_sha256: Mapped[str]
    structure: Mapped[dict[str, Any]]
    index_key: Mapped[str]  # where the checked index is, or will be written
    summary: Mapped[dict[str, Any] | None]
    created_at: Mapped[float]
    checked_at: Mapped[float | None]  # when every image had been read; None until then
    purged_at: Mapped[float | None]  # no file holds it; revived when the same content comes again


class Model(Base):
    """A stored model. A base has no project: the operator registered it for everybody."""

    __tablename__ = "models"
    __table_args__ = (
        one_of("kind", ("base", "fine_tuned", "checkpoint")),
        CheckConstraint("(kind = 'base') = (project_id IS NULL)", name="owner"),
        Index(None, "project_id", "created_at", "id"),
        partial(
            "ix_models_deleted",
            "deleted_at IS NOT NULL AND purged_at IS NULL",
            *("project_id", "deleted_at"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str]
    object_key: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    members: Mapped[dict[str, Any]]  # file name to [offset, size] in the tar
    info: Mapped[dict[str, Any]]
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    seed: Mapped[int | None]
    step: Mapped[int | None]
    metrics: Mapped[dict[str, Any]]
    created_at: Mapped[float]
    deleted_at: Mapped[float | None]
    purged_at: Mapped[float | None]  # when it came to name its object no more


class Alias(Base):
    """A project's name for one of its models or a base, which may point elsewhere tomorrow."""

    __tablename__ = "aliases"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index(None, "project_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    previous_model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"))
    created_at: Mapped[float]
    changed_at: Mapped[float]


class DoomedObject(Base):
    """An object, or all under a prefix, that is being deleted, or was lately: no row may come to
    name it by what was seen of the store before."""

    __tablename__ = "doomed_objects"

    object_key: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    doomed_at: Mapped[float]
    lifted_at: Mapped[float | None]  # when it was gone
