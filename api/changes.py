"""What changed between two models of a job: its predictions, read and drawn by processes apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from api.services import Services
from api.spool import on_disk, spool_file
from core.datasets.apart import draw_named_apart, run_apart
from core.datasets.limits import Limits
from core.datasets.structure import Structure
from core.errors import Conflict, InvalidRequest, NotFound, StorageFault
from core.jobs.changes import Asked
from core.jobs.spec import JobSpec
from core.records import datasets, files, jobs
from core.validation import shown

PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class Scored:
    """A job's stored predictions and what their labels mean."""

    object_key: str
    class_keys: list[str]  # folders, in the order of labels
    names: list[str]  # as people read them
    archives: dict[str, str]  # split -> its archive's object


def scored(services: Services, project_id: str, job_id: str) -> Scored:
    """Raises NotFound for an unknown job, and Conflict for one without predictions."""
    with services.database.read() as session:
        job = jobs.get(session, project_id, job_id)
        made = files.result_files(session, project_id, [job_id])[job_id]
        spec = JobSpec.model_validate(job.spec)
        versions = {
            reference.version: datasets.get(session, project_id, reference.version)
            for reference in spec.datasets
        }
    stored = [file for file in made if file.filename == PREDICTIONS]
    if not stored:
        raise Conflict(
            f"Job {job_id} is {job.status} and has no predictions to compare; a job that succeeded "
            "has, unless its files were deleted.",
            code="no_predictions",
        )
    source = spec.split("train") or spec.splits[0]
    structure = Structure.model_validate(versions[source.version].structure)
    counts = structure.splits.get(source.archive_split, {})
    class_keys = [key for key in structure.classes if counts.get(key)]
    archives = {split.name: versions[split.version].archive_key for split in spec.splits}
    archives.setdefault("val", archives.get("train", ""))
    archives |= {name: archives.get(spec.id_split or "test", "") for name in spec.corruptions}
    return Scored(
        stored[0].object_key,
        class_keys,
        [structure.readable_names.get(key, key) for key in class_keys],
        archives,
    )


def class_index(found: Scored, name: str | None) -> int | None:
    """The label of a class by its folder or readable name. Raises InvalidRequest."""
    if name is None:
        return None
    for names in (found.class_keys, found.names):
        if name in names:
            return names.index(name)
    raise InvalidRequest(
        f"class is {shown(name)}; the job's classes are {', '.join(found.names[:50])}.",
        code="unknown_class",
        param="class",
    )


def changes(services: Services, found: Scored, asked: Asked) -> dict[str, Any]:
    """As `core.jobs.changes.find_changes`."""
    directory = services.settings.spool_directory
    try:
        with on_disk(services.store, found.object_key, directory) as predictions:
            answer: dict[str, Any] = run_apart(
                "changes", path=str(predictions), asked=asdict(asked)
            )
    except NotFound as error:
        raise StorageFault("The stored predictions are missing; tell the operator.") from error
    return answer


def sheet(services: Services, found: Scored, asked: Asked) -> bytes:
    """The changed images as one JPEG, each under what it was taken for before and after. Of a
    built-in shift the images are shown as they were before it."""
    rows = changes(services, found, asked)["rows"]
    if not rows:
        raise NotFound("No image changed in that way.", param="change")
    captions = {
        key: f"{found.names[was]} → {found.names[became]}" for key, _, (was, _), (became, _) in rows
    }
    directory = services.settings.spool_directory
    try:
        with (
            on_disk(services.store, found.archives[asked.split], directory) as archive,
            spool_file(directory) as drawn,
        ):
            limits = Limits.from_settings(services.settings)
            draw_named_apart(archive, captions, limits, drawn.path)
            return drawn.path.read_bytes()
    except NotFound as error:
        raise StorageFault("The stored archive is missing; tell the operator.") from error
