"""`lipsum gc`, `backup`, `restore` and `projects delete`: an operator's own, past the API."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal

from core.housekeeping import backup, unreferenced
from core.objects import ObjectStore
from core.records import audit, project_deletion, projects
from core.records.audit import Actor
from core.records.engine import Database
from core.settings import Settings

SHOWN = 20  # keys


def collect(settings: Settings, *, dry_run: bool) -> int:
    """Deletes objects that no row names, or only says which; an exit status."""
    console = Console(highlight=False)
    database = Database(settings.resolved_database_url)
    store = ObjectStore.from_settings(settings)
    counts: Counter[str] = Counter()
    size = shown = 0
    try:
        for found in unreferenced.find(database, store):
            if not dry_run and not unreferenced.remove(database, store, found):
                continue
            counts[found.key.split("/", 1)[0]] += 1
            size += found.size
            if shown < SHOWN:
                console.print(f"{found.key} ({decimal(found.size)})", soft_wrap=True)
            shown += 1
    finally:
        database.close()
    if shown > SHOWN:
        console.print(f"... and {shown - SHOWN} more")
    kinds = ", ".join(f"{count} under {place}/" for place, count in sorted(counts.items()))
    done = "would be deleted" if dry_run else "deleted"
    console.print(f"{shown} objects, {decimal(size)}, {done}{': ' + kinds if kinds else ''}")
    return 0


def back_up(settings: Settings, to: Path) -> int:
    """Writes a backup; 1 when it lacks something that rows name."""
    console = Console(highlight=False)
    database = Database(settings.resolved_database_url)
    try:
        done = backup.back_up(database, ObjectStore.from_settings(settings), settings, to)
    finally:
        database.close()
    console.print(
        f"{sum(done.rows.values())} rows, {done.objects} objects ({decimal(done.bytes)}), "
        f"{done.copied} of them copied now"
    )
    for key in done.missing[:SHOWN]:
        told = f"[red]missing[/red] {key}: a row names it and the store has it not"
        console.print(told, soft_wrap=True)
    return 1 if done.missing else 0


def restore(settings: Settings, source: Path) -> int:
    """Fills an empty service from a backup."""
    done = backup.restore(settings, source)
    if done.missing:
        Console(highlight=False).print(
            f"[red]{len(done.missing)} objects were missing from the backup[/red], among them "
            f"{done.missing[0]}"
        )
    return 1 if done.missing else 0


def delete_project(settings: Settings, named: str) -> str:
    """Marks a project as deleted; what happens next, in words. Raises NotFound."""
    database = Database(settings.resolved_database_url)
    try:
        with database.write() as session:
            row = projects.by_name(session, named) or projects.get(session, named)
            project_deletion.request(session, row.id, asked_by=None)
            actor = Actor(row.id, None)
            audit.note(session, actor, "project.delete", row.id, name=row.name)
    finally:
        database.close()
    return f"{row.id}: its keys open nothing any more; a worker removes what it has"
