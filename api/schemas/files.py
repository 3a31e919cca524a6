"""OpenAI's file, and what we know of the archive in it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from core.datasets.structure import Structure
from core.records.tables import File


class Split(BaseModel):
    """One split of an archive, by its names alone."""

    name: str
    images: int
    classes: int


class Dataset(BaseModel):
    """What an archive holds, before its images are read."""

    version: str = Field(description="The content's digest; equal content has equal versions.")
    format: str
    images: int
    classes: int
    splits: list[Split]
    ignored: int = Field(description="Files in it that are no images.")


class FileObject(BaseModel):
    """OpenAI's file object with our fields beside its own."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    status_details: str | None
    expires_at: int | None = None
    sha256: str
    dataset: Dataset | None


class FileDeleted(BaseModel):
    """OpenAI's answer to a deletion."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


def file_object(row: File) -> FileObject:
    """A file's row on the wire."""
    return FileObject(
        id=row.id,
        bytes=row.bytes,
        created_at=int(row.created_at),
        filename=row.filename,
        purpose=row.purpose,
        status=row.status,
        status_details=row.status_details,
        sha256=row.sha256,
        dataset=_dataset(row),
    )


def _dataset(row: File) -> Dataset | None:
    if row.structure is None or row.dataset_version is None:
        return None
    structure = Structure.model_validate(row.structure)
    return Dataset(
        version=row.dataset_version,
        format=structure.format,
        images=structure.total_images,
        classes=len(structure.classes),
        splits=[
            Split(name=name, images=sum(counts.values()), classes=len(counts))
            for name, counts in structure.splits.items()
        ],
        ignored=structure.ignored_count,
    )
