"""What a job's built-in shifts look like: one page among its result files."""

from __future__ import annotations

from dataclasses import replace

from core.learning.shifts.contact_sheet import contact_sheet
from worker.pipeline.data import SHIFT_SEED, JobData, each_image
from worker.pipeline.workspace import Workspace

SHEET_FILE = "corruptions.png"
SHEET_IMAGES = 4  # that the rows take turns in


def store_shift_sheet(workspace: Workspace, data: JobData) -> None:
    """Draw and store the sheet, exactly as the models saw these images; nothing without shifts."""
    shifts = {split.shift[0]: split for split in data.scored if split.shift is not None}
    if not shifts:
        return
    source = next(iter(shifts.values()))
    stride = -(-len(source.entries) // SHEET_IMAGES)
    some = replace(source, entries=source.entries[::stride])
    sheet = contact_sheet(
        list(each_image(workspace, some, lambda entry, image: image)),
        SHIFT_SEED,
        keys=[entry.pixel_digest for entry in some.entries],
        names=list(shifts),
    )
    path = workspace.directory / SHEET_FILE
    sheet.save(path)
    workspace.store_artifact(SHEET_FILE, path)
