"""A drawn world as a data set and a base of a service of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.bases import register_directory
from core.comparisons.plan import every_method
from core.demo.worlds import WORLDS
from core.demo.worlds.tasks import TASKS
from core.errors import InvalidRequest
from core.learning.architecture import Architecture
from core.objects import ObjectStore
from core.records.engine import Database
from core.settings import Settings

BASES = Path(__file__).parents[2] / "core" / "demo" / "worlds" / "bases"


def write_archive(name: str, directory: Path) -> Path:
    """The world's images as its user has them, drawn unless they were."""
    path = directory / f"{name}.zip"
    if not path.is_file():
        task, part = TASKS[name], path.with_suffix(".part")
        WORLDS[name].write_archive(
            part, train_per_class=task.train_per_class, test_per_class=task.test_per_class
        )
        part.rename(path)
    return path


def register_base(settings: Settings, name: str) -> str:
    """The id of the world's base, which knows its classes."""
    if name == "demo":
        return "base:demo"  # there from the first start
    directory = BASES / name
    if not directory.is_dir():
        raise InvalidRequest(
            f"the world {name} has no base yet; make it with `python -m "
            f"core.demo.worlds.pretrain --worlds {name} --out {directory}`",
            code="no_base",
        )
    database = Database(settings.resolved_database_url)
    try:
        store = ObjectStore.from_settings(settings)
        return register_directory(database, store, name, directory).id
    finally:
        database.close()


def contenders(name: str, methods: list[str], n_seeds: int) -> list[str | dict[str, Any]]:
    """The methods as a comparison takes them, with the settings they need on this world."""
    if methods == ["all"]:
        methods = every_method(Architecture("transformer", "transformer"), n_seeds)
    own = TASKS[name].own
    trained = {method.partition("+")[0] for method in methods}
    special = [method for method in own if method in trained]
    with_settings: list[str | dict[str, Any]] = [
        {"label": method, "method": {"type": method, method: {"hyperparameters": own[method]}}}
        for method in special
    ]
    return with_settings + [method for method in methods if method not in special]
