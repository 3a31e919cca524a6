"""`lipsum base ...`: only the operator, who has the data directory, can say these."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli.prepare import prepare
from core.bases import register_directory
from core.errors import InvalidRequest
from core.objects import ObjectStore
from core.records import models
from core.records.engine import Database
from core.settings import Settings


def add(settings: Settings, name: str, source: str, *, allow_pickle: bool) -> str:
    """Fetch `source` and register it; the id it got."""
    from core.learning.models import ModelFault
    from core.learning.sources import fetch_base

    prepare(settings)
    database = Database(settings.resolved_database_url)
    with tempfile.TemporaryDirectory(prefix="lipsum-base-") as temporary:
        try:
            fetch_base(source, Path(temporary), allow_pickle=allow_pickle)
        except ModelFault as fault:
            raise InvalidRequest(str(fault), code="base_unavailable") from fault
        store = ObjectStore.from_settings(settings)
        return register_directory(database, store, name, Path(temporary)).id


def show(settings: Settings) -> None:
    """A table of the registered bases."""
    prepare(settings)
    with Database(settings.resolved_database_url).read() as session:
        found = models.list_models(session, "-", kind="base").items
    table = Table("base", "image size", "features", "MB", "sha256")
    for row in found:
        table.add_row(
            row.id,
            str(row.info.get("image_size", "")),
            str(row.info.get("embed_dim", "")),
            f"{row.size / 1e6:.1f}",
            row.sha256[:12],
        )
    Console(highlight=False).print(table)
