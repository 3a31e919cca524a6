"""The first duty of a job: read every image of its datasets once, before anything trains."""

from __future__ import annotations

from core.datasets.check import check
from core.datasets.duplicates import require_no_leaks
from core.datasets.index import DatasetIndex
from core.datasets.structure import inspect
from core.jobs.messages import DatasetChecked
from core.jobs.spec import DatasetReference
from worker.pipeline.workspace import Workspace

_NAMED = 20  # pairs of files that an event lists


def check_datasets(workspace: Workspace) -> None:
    """Check the dataset versions that have no index yet, then the splits against each other.

    Raises `core.errors.InvalidDataset` naming the files at fault.
    """
    indexes: dict[str, DatasetIndex] = {}
    for number, reference in enumerate(workspace.spec.datasets):
        if workspace.store.exists(reference.index_key):
            # Perhaps by an attempt that died before it could say so.
            indexes[reference.version] = workspace.index(reference)
        else:
            indexes[reference.version] = _check(workspace, number, reference)
        workspace.reporter.send(
            DatasetChecked(
                version=reference.version,
                index_key=reference.index_key,
                summary=indexes[reference.version].summary(),
            )
        )
    _compare_splits(workspace, indexes)


def _check(workspace: Workspace, number: int, reference: DatasetReference) -> DatasetIndex:
    n_datasets = len(workspace.spec.datasets)

    def progress(done: int, total: int) -> None:
        workspace.reporter.within("preparing", (number + done / max(total, 1)) / n_datasets / 2)

    path = workspace.archive(reference)
    index = check(
        path,
        inspect(path, workspace.limits),
        workspace.limits,
        max_unreadable_fraction=workspace.spec.max_unreadable_fraction,
        progress=progress,
    )
    workspace.store.put_bytes(reference.index_key, index.to_parquet_bytes())
    return index


def _compare_splits(workspace: Workspace, indexes: dict[str, DatasetIndex]) -> None:
    """Training images that another split holds too: fatal in a scored split unless allowed."""
    spec = workspace.spec
    entries = {
        split.name: indexes[split.version].entries_of(split.archive_split) for split in spec.splits
    }
    leaks = require_no_leaks(entries, allow=spec.allow_duplicates)
    for name in dict.fromkeys(leak.split for leak in leaks):
        found = [leak for leak in leaks if leak.split == name]
        pairs = [[leak.train.key, leak.other.key] for leak in found[:_NAMED]]
        workspace.reporter.warn(
            f"{len(found)} images of {name} show the same pixels as a training image, "
            f"for example {pairs[0][1]} and {pairs[0][0]}",
            split=name,
            count=len(found),
            pairs=pairs,
        )
