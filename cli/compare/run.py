"""From a request to the report's files, on the service that runs or on one started for it."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from openai import OpenAI
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.client import make_client
from cli.compare import worlds
from cli.jobs import POLL_SECONDS, said_plainly, upload
from cli.ports import any_ports
from cli.provenance import commit, machine
from cli.service import NotReady, Service
from cli.tables import wide_console
from core.demo.worlds import WORLDS
from core.demo.worlds.tasks import TASKS
from core.learning.comparison.document import from_json, to_json
from core.learning.comparison.tables import Table as MainTable
from core.learning.comparison.tables import main_table
from core.settings import Settings

ENDED = ("succeeded", "failed", "cancelled")
_RUN = "run"  # metadata by which a later call finds the comparison that it asked for before


def compare(
    settings: Settings,
    target: str,
    *,
    methods: list[str],
    model: str,
    hyperparameters: dict[str, Any],
    seed: int,
    n_seeds: int,
    budget: float | None,
    out: Path | None,
    record: Path | None = None,
) -> int:
    """0 when there is a report, whose document goes to `record` too, with commit and machine.

    `target` is a file id, or the name of a drawn world, for which a service is started here;
    asked again, the same comparison goes on where it was.
    """
    console = wide_console()
    origin = {"commit": commit(), "machine": machine()}  # of what runs, whatever happens meanwhile
    body: dict[str, Any] = {
        "name": f"{target}: {', '.join(methods)}",
        "methods": "all" if methods == ["all"] else methods,
        "hyperparameters": hyperparameters,
        "seed": seed,
        "n_seeds": n_seeds,
    }
    if budget is not None:
        body["budget"] = {"seconds": budget}
    if target not in WORLDS:
        body |= {"model": model, "training_file": target}
        client = make_client()
        return _follow(client, _create(client, body), console, out, record, origin)
    settings = settings.model_copy(update=any_ports(settings))
    directory = settings.data_dir.resolve() / "worlds"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with Service(settings) as service:
            client = make_client(f"{service.address}/v1", service.api_key)
            comparison = _of_world(settings, client, target, methods, body, directory)
            return _follow(client, comparison, console, out or directory, record, origin)
    except NotReady as fault:
        console.print(f"[red]failed:[/red] {fault}")
        return 1


def _of_world(
    settings: Settings,
    client: OpenAI,
    world: str,
    methods: list[str],
    body: dict[str, Any],
    directory: Path,
) -> str:
    """The id of the comparison on that world, made now unless it was before."""
    body["hyperparameters"] = {**TASKS[world].hyperparameters, **body["hyperparameters"]}
    body["model"] = worlds.register_base(settings, world)
    body["methods"] = worlds.contenders(world, methods, body["n_seeds"])
    archive = worlds.write_archive(world, directory)
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    asked = json.dumps([digest, body], sort_keys=True)
    run = hashlib.sha256(asked.encode()).hexdigest()[:32]
    known = _get(client, "/comparisons?limit=1000")["data"]
    for comparison in known:
        is_it = (comparison["metadata"] or {}).get(_RUN) == run
        if is_it and comparison["status"] in ("running", "succeeded"):
            return str(comparison["id"])
    body["training_file"] = upload(client, archive, archive.name)
    body["metadata"] = {_RUN: run}
    return _create(client, body)


def _create(client: OpenAI, body: dict[str, Any]) -> str:
    made = said_plainly(lambda: client.post("/comparisons", body=body, cast_to=object))
    assert isinstance(made, dict)
    return str(made["id"])


def _follow(
    client: OpenAI,
    comparison_id: str,
    console: Console,
    out: Path | None,
    record: Path | None,
    origin: dict[str, str | None],
) -> int:
    """Waits behind one bar a contender; then the verdict, and the report's files in a folder."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}
        while True:
            comparison = _get(client, f"/comparisons/{comparison_id}")
            for contender in comparison["contenders"]:
                _show(bars, tasks, contender)
            if comparison["status"] in ENDED:
                break
            time.sleep(POLL_SECONDS)
    for contender in comparison["contenders"]:
        if contender["left_out"]:
            console.print(f"- {contender['label']} left out: {contender['left_out']}")
    if comparison["status"] != "succeeded":
        console.print(f"[red]{comparison['status']}[/red]: {comparison['error'] or ''}")
        return 1
    target = (out or Path()) / comparison_id
    _download(client, comparison["report_files"], target)
    report = from_json((target / "comparison.json").read_text(encoding="utf-8"))
    console.print(_table(main_table(report)))
    console.print(f"{comparison['verdict']}", markup=False)
    console.print(f"report: {target / 'comparison.html'}")
    if record is not None:
        here = report.provenance.model_copy(update=origin)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(to_json(report.model_copy(update={"provenance": here})), encoding="utf-8")
    return 0


def _table(table: MainTable) -> Table:
    shown = Table(*table.header)
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return shown


def _show(bars: Progress, tasks: dict[str, TaskID], contender: dict[str, Any]) -> None:
    label = contender["label"]
    if label not in tasks:
        tasks[label] = bars.add_task(label, total=1.0, status="", start=False)
    if contender["fraction"] > 0:
        bars.start_task(tasks[label])
    bars.update(tasks[label], completed=contender["fraction"], status=contender["status"])
    if contender["status"] in ENDED:
        bars.stop_task(tasks[label])


def _download(client: OpenAI, files: dict[str, str], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, file_id in files.items():
        (target / name).write_bytes(client.files.content(file_id).read())


def _get(client: OpenAI, path: str) -> dict[str, Any]:
    found = said_plainly(lambda: client.get(path, cast_to=object))
    assert isinstance(found, dict)
    return found
