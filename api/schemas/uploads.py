"""OpenAI's upload in parts, with what it takes to go on with one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.multipart import MAX_FILENAME
from api.schemas.files import FileObject, file_object
from api.uploads import PURPOSES
from core.records.tables import File, Upload, UploadPart
from core.records.upload_parts import MAX_PARTS
from core.settings import GIB

MAX_SIGNED_BYTES = 5 * GIB  # what S3 takes in one request

Status = Literal["pending", "completed", "cancelled", "expired"]


class CreateUpload(BaseModel):
    """What will be sent."""

    model_config = ConfigDict(extra="forbid")

    bytes: Annotated[int, Field(ge=0, description="Size of the whole file.")]
    filename: Annotated[str, Field(min_length=1, max_length=MAX_FILENAME)]
    mime_type: Annotated[
        str, Field(max_length=255, description="Kept; what a file is, is seen in its bytes.")
    ]
    purpose: Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(PURPOSES)})]


class SignPart(BaseModel):
    """A part that the client writes into the object store by itself."""

    model_config = ConfigDict(extra="forbid")

    bytes: Annotated[int, Field(ge=1, le=MAX_SIGNED_BYTES, description="Size of the part.")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="Of the part.")]
    part_number: Annotated[int | None, Field(ge=1, le=MAX_PARTS)] = None


class CompleteUpload(BaseModel):
    """How the parts become a file."""

    model_config = ConfigDict(extra="forbid")

    part_ids: Annotated[
        list[Annotated[str, Field(max_length=128)]] | None,
        Field(
            max_length=MAX_PARTS,
            description="The parts in their order. Without it they go by `part_number`, 1 to n.",
        ),
    ] = None
    md5: Annotated[
        str | None,
        Field(pattern=r"^[0-9A-Fa-f]{32}$", description="Of the whole file, hexadecimal."),
    ] = None
    sha256: Annotated[
        str | None,
        Field(pattern=r"^[0-9A-Fa-f]{64}$", description="Of the whole file, hexadecimal."),
    ] = None


class UploadObject(BaseModel):
    """OpenAI's upload object; `mime_type` is ours."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    mime_type: str
    purpose: str
    status: Status
    file: FileObject | None = Field(description="The file that a completed upload became.")


class SignedPart(BaseModel):
    """Where the bytes of a part go."""

    object: Literal["upload.signed_part"] = "upload.signed_part"
    upload_id: str
    part_number: int | None
    bytes: int
    sha256: str
    method: Literal["PUT"] = "PUT"
    url: str = Field(description="Takes the bytes as the request's body, without any key.")
    expires_at: int


class UploadPartObject(BaseModel):
    """OpenAI's part object; number, size and digest are ours."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
    part_number: int | None
    bytes: int
    sha256: str


def upload_object(row: Upload, file: File | None = None) -> UploadObject:
    """An upload's row on the wire."""
    return UploadObject.model_validate(
        {
            "id": row.id,
            "bytes": row.bytes,
            "created_at": int(row.created_at),
            "expires_at": int(row.expires_at),
            "filename": row.filename,
            "mime_type": row.mime_type,
            "purpose": row.purpose,
            "status": row.status,
            "file": None if file is None else file_object(file),
        }
    )


def part_object(row: UploadPart) -> UploadPartObject:
    """A part's row on the wire."""
    return UploadPartObject(
        id=row.id,
        created_at=int(row.created_at),
        upload_id=row.upload_id,
        part_number=row.number,
        bytes=row.bytes,
        sha256=row.sha256,
    )
