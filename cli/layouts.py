"""`lipsum convert`: a well-known data set as it lies on a disk, as an archive to push."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.datasets.layouts import KNOWN_LAYOUTS, WrittenArchive, write_archive

_SAY_EVERY = 1000  # images


def layouts_help() -> str:
    """One sentence naming the layouts, for an option's help."""
    return f"One of {', '.join(KNOWN_LAYOUTS)}."


def convert(source: Path, layout: str, target: Path, *, limit_per_class: int | None) -> None:
    """Write the archive and print what it holds. Raises `ServiceError` with the reason."""
    console = Console(highlight=False)
    with console.status(f"writing {target} ...") as status:

        def say(done: int) -> None:
            if done % _SAY_EVERY == 0:
                status.update(f"writing {target}: {done} images ...")

        written = write_archive(
            source, layout, target, limit_per_class=limit_per_class, progress=say
        )
    console.print(_table(written))
    console.print(f"{written.path}: {written.size / 1e6:.1f} MB; upload it with `lipsum push`")


def _table(written: WrittenArchive) -> Table:
    table = Table("split", "images", "classes")
    for split, classes in written.splits.items():
        of_all = f"{len(classes)} of {written.total_classes}"
        table.add_row(split, str(sum(classes.values())), of_all)
    return table
