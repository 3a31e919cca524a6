"""What changed between two models of a job: its predictions, read and drawn by processes apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from api.kept import kept
from api.services import Services
from api.spool import spool_file
from core.datasets.apart import draw_named_apart, run_apart
from core.datasets.limits import Limits
from core.datasets.structure import Structure
from core.errors import Conflict, InvalidRequest, NotFound, StorageFault
from core.jobs.changes import Asked, listed
from core.jobs.spec import JobSpec
from core.records import datasets, files, jobs
from core.records.tables import DatasetVersion, File
from core.validation import shown

PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class Scored:
    """A job's stored predictions, what their labels mean and where their images are."""

    predictions: File
    class_keys: list[str]  # folders, in the order of labels
    names: list[str]  # as people read them
    versions: dict[str, DatasetVersion]  # by split
    held: frozenset[str]  # ids of the versions that a file of the project holds


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
        holders = datasets.files_of(session, project_id, versions)
    stored = [file for file in made if file.filename == PREDICTIONS]
    if not stored:
        raise Conflict(
            f"Job {job_id} is {job.status} and has no predictions. A job that scores models has "
            "them once it succeeded, until its files are deleted.",
            code="no_predictions",
        )
    # Labels are columns of the head: the classes trained on, or those scored, in their order.
    source = spec.split("train") or spec.splits[0]
    structure = Structure.model_validate(versions[source.version].structure)
    counts = structure.splits.get(source.archive_split, {})
    class_keys = [key for key in structure.classes if counts.get(key)]
    return Scored(
        stored[0],
        class_keys,
        [structure.readable_names.get(key, key) for key in class_keys],
        _versions_of_splits(spec, versions),
        frozenset(version for version, held_by in holders.items() if held_by),
    )


def of_class(found: Scored, name: str | None) -> list[int] | None:
    """The labels of the class: of all that read so, or of its folder. Raises InvalidRequest."""
    if name is None:
        return None
    for names in (found.names, found.class_keys):
        if name in names:
            return [label for label, each in enumerate(names) if each == name]
    raise InvalidRequest(
        f"class is {shown(name)}; the job's classes are {listed(found.names)}.",
        code="unknown_class",
        param="class",
    )


def changes(services: Services, found: Scored, asked: Asked) -> dict[str, Any]:
    """As `core.jobs.changes.find_changes`."""
    stored = found.predictions
    try:
        path = kept(services, stored.object_key, stored.sha256)
    except NotFound as error:
        raise StorageFault("The stored predictions are missing; tell the operator.") from error
    answer: dict[str, Any] = run_apart("changes", path=str(path), asked=asdict(asked))
    return answer


def sheet(services: Services, found: Scored, asked: Asked) -> bytes:
    """The changed images as one JPEG, each over what it was taken for before and after. Of a
    built-in shift the images are shown as they were before it.

    Raises NotFound when there are none, and Conflict when their data set was deleted.
    """
    rows = changes(services, found, asked)["rows"]
    if not rows:
        raise NotFound("No image changed in that way.", param="change")
    captions = {
        key: [f"was {found.names[was]}", f"now {found.names[became]}"]
        for key, _, (was, _), (became, _) in rows
    }
    version = found.versions[asked.split]
    if version.id not in found.held:
        raise Conflict(
            f"The images of {asked.split} cannot be shown: their data set {version.id} was "
            "deleted. Upload it again.",
            code="dataset_deleted",
            param="split",
        )
    try:
        archive = kept(services, version.archive_key, version.archive_sha256)
    except NotFound as error:
        raise StorageFault("The stored archive is missing; tell the operator.") from error
    with spool_file(services.settings.spool_directory) as drawn:
        limits = Limits.from_settings(services.settings)
        draw_named_apart(archive, captions, limits, drawn.path)
        return drawn.path.read_bytes()


def _versions_of_splits(
    spec: JobSpec, versions: dict[str, DatasetVersion]
) -> dict[str, DatasetVersion]:
    """Also of `val` that was cut from `train`, and of built-in shifts, which show the ID split."""
    found = {split.name: versions[split.version] for split in spec.splits}
    if "val" not in found and "train" in found:
        found["val"] = found["train"]
    if spec.id_split is not None:
        found |= dict.fromkeys(spec.corruptions, found[spec.id_split])
    return found
