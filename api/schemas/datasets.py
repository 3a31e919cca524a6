"""What is in a dataset: splits, classes, groups, what was rejected, what is there twice."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.multipart import MAX_FILENAME
from core.datasets.structure import Structure
from core.imports import SCHEME
from core.records.tables import DatasetVersion, File

MAX_IMAGES = 10_000  # of a dataset that is made of images uploaded one by one


class ImageOfDataset(BaseModel):
    """An uploaded image and where it belongs."""

    model_config = ConfigDict(extra="forbid")

    file_id: Annotated[str, Field(max_length=128)]
    label: Annotated[str, Field(min_length=1, max_length=200, description="Its class.")]
    split: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "train"


_EITHER: JsonDict = {  # said by the route in a sentence of its own
    "oneOf": [
        {"required": ["images"], "properties": {"images": {"type": "array"}}},
        {"required": ["source"], "properties": {"source": {"type": "string"}}},
    ]
}


class CreateDataset(BaseModel):
    """Either `images` or `source`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_EITHER)

    filename: Annotated[
        str, Field(min_length=1, max_length=MAX_FILENAME, description="Of the file it becomes.")
    ] = "dataset.zip"
    purpose: Literal["fine-tune", "evals"] = "fine-tune"
    images: Annotated[list[ImageOfDataset] | None, Field(min_length=1, max_length=MAX_IMAGES)] = (
        None
    )
    source: Annotated[
        str | None,
        Field(
            max_length=1024,
            json_schema_extra={"pattern": f"^{SCHEME}.+"},
            description="An archive in S3, or with a closing slash a folder of images, under a "
            "prefix that the operator allows: s3://bucket/flowers.zip, s3://bucket/flowers/",
        ),
    ] = None


class Count(BaseModel):
    """A class or a group and how many images it has."""

    name: str
    images: int


class DatasetSplit(BaseModel):
    """One split of a dataset."""

    name: str
    images: int
    classes: list[Count]
    empty_classes: list[str] = Field(description="Class folders without an image.")
    groups: list[Count] = Field(description="Of its images, once they are checked.")


class RejectedFile(BaseModel):
    """An image that cannot be read."""

    file: str
    reason: str


class Duplicates(BaseModel):
    """Images with identical pixels, the first few groups by name."""

    across_splits_count: int
    across_splits: list[list[str]]
    conflicting_labels_count: int
    conflicting_labels: list[list[str]]
    repeated_count: int = Field(description="More than once in one split and class: harmless.")


class _Dataset(BaseModel):
    """What is said of one immutable version everywhere."""

    id: str = Field(description="The content's digest: equal content is one version.")
    object: Literal["dataset"] = "dataset"
    created_at: int
    filename: str = Field(description="Of the newest file that holds it.")
    files: list[str] = Field(description="The files that hold it, newest first.")
    bytes: int
    format: str
    status: Literal["unchecked", "checked"] = Field(
        description="A job's first duty is to read every image once."
    )
    checked_at: int | None
    images: int
    rejected_count: int | None = Field(
        description="Images that cannot be read; null until it is checked."
    )


class DatasetSummary(_Dataset):
    """A version in a list."""

    classes: int
    splits: list[str]


class DatasetObject(_Dataset):
    """Everything known of a version."""

    classes: list[str] = Field(description="In the order of a head's rows.")
    readable_names: list[str] | None = Field(description="Of the classes, in their order.")
    templates: list[str] | None
    groups: list[str]
    splits: list[DatasetSplit]
    ignored: list[str] = Field(description="Files that are no images, the first few by name.")
    ignored_count: int
    rejected: list[RejectedFile] | None = Field(
        description="The first hundred; null until it is checked."
    )
    duplicates: Duplicates | None = Field(description="null until it is checked.")


def dataset_summary(row: DatasetVersion, files: list[File]) -> DatasetSummary:
    """A version's row on the wire, short."""
    structure = Structure.model_validate(row.structure)
    return DatasetSummary(
        **_common(row, files, structure),
        classes=len(structure.classes),
        splits=list(structure.splits),
    )


def dataset_object(row: DatasetVersion, files: list[File]) -> DatasetObject:
    """A version's row on the wire, whole."""
    structure = Structure.model_validate(row.structure)
    checked = row.summary or {}
    names = structure.readable_names
    return DatasetObject(
        **_common(row, files, structure),
        classes=structure.classes,
        readable_names=[names[name] for name in structure.classes] if names else None,
        templates=structure.templates,
        groups=structure.groups,
        splits=[_split(name, structure, checked) for name in structure.splits],
        ignored=structure.ignored,
        ignored_count=structure.ignored_count,
        rejected=checked.get("rejected"),
        duplicates=checked.get("duplicates"),
    )


def _common(row: DatasetVersion, files: list[File], structure: Structure) -> dict[str, Any]:
    checked = row.summary or {}
    return {
        "id": row.id,
        "created_at": int(row.created_at),
        "filename": files[0].filename if files else "",
        "files": [file.id for file in files],
        "bytes": row.archive_size,
        "format": structure.format,
        "status": "unchecked" if row.checked_at is None else "checked",
        "checked_at": None if row.checked_at is None else int(row.checked_at),
        "images": checked.get("images", structure.total_images),
        "rejected_count": checked.get("rejected_count"),
    }


def _split(name: str, structure: Structure, checked: dict[str, Any]) -> DatasetSplit:
    """By the images that can be read once that is known, before by the archive's names."""
    found = checked.get("splits", {}).get(name, {})
    classes = found.get("classes", structure.splits[name])
    return DatasetSplit(
        name=name,
        images=sum(classes.values()),
        classes=[Count(name=key, images=count) for key, count in classes.items()],
        empty_classes=structure.empty_classes.get(name, []),
        groups=[Count(name=key, images=n) for key, n in found.get("groups", {}).items()],
    )
