"""The same specifications once without any fault, in other processes, on SQLite and a directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openai import OpenAI

from cli.prepare import prepare
from core.objects import ObjectStore
from core.records.engine import Database
from core.settings import Settings
from tests.chaos.outcome import outcome
from tests.chaos.processes import Keeper, Kept, wait_until
from tests.chaos.specs import Spec, depth, make_archives
from tests.chaos.stack import COMMON, register_tiny
from tests.services import free_port
from worker.environment import child_environment

PATIENCE = 1200.0  # seconds for all that one can wait for


def calm_outcomes(folder: Path, specs: Sequence[Spec]) -> dict[str, dict[str, Any]]:
    """What each makes when it is left alone; kept in the folder for a run that goes on."""
    stored = folder / "calm.json"
    if stored.is_file():
        known: dict[str, dict[str, Any]] = json.loads(stored.read_text())
        if {spec.name for spec in specs} <= known.keys():
            return known
    made = _run(folder / "calm", specs)
    stored.write_text(json.dumps(made, indent=1))
    return made


def _run(folder: Path, specs: Sequence[Spec]) -> dict[str, dict[str, Any]]:
    settings = Settings(data_dir=folder / "data", port=free_port(), worker_slots=2, **COMMON)
    prepare(settings)
    database = Database(settings.resolved_database_url)
    store = ObjectStore.from_settings(settings)
    register_tiny(database, store, folder)
    environment = child_environment(settings)
    keeper = Keeper(
        [
            Kept(name, ["-m", "cli.main", name], environment, folder / f"{name}.log")
            for name in ("api", "worker")
        ]
    )
    keeper.start()
    try:
        key = settings.api_key_path.read_text().strip()
        client = OpenAI(base_url=f"{settings.local_address}/v1", api_key=key, max_retries=20)
        jobs = _finish_all(client, folder, specs)
        return {name: outcome(database, store, job_id) for name, job_id in jobs.items()}
    finally:
        keeper.stop()
        database.close()


def _finish_all(client: OpenAI, folder: Path, specs: Sequence[Spec]) -> dict[str, str]:
    files = []
    for archive in make_archives(folder / "archives"):
        with archive.open("rb") as content:
            file = client.files.create(file=(archive.name, content), purpose="fine-tune")
        files.append(file.id)
    jobs: dict[str, str] = {}
    for level in range(1 + max(depth(spec) for spec in specs)):
        for spec in specs:
            if depth(spec) == level:
                inputs = [jobs[name] for name in spec.inputs]
                body = spec.request(files[spec.archive], inputs)
                jobs[spec.name] = client.fine_tuning.jobs.create(**body).id
        for spec in specs:
            if depth(spec) == level:
                _finish(client, jobs[spec.name])
    return jobs


def _finish(client: OpenAI, job_id: str) -> None:
    def has_ended() -> bool:
        job = client.fine_tuning.jobs.retrieve(job_id)
        assert job.status not in ("failed", "cancelled"), job.error
        return job.status == "succeeded"

    wait_until(has_ended, PATIENCE, f"calm job {job_id}")
