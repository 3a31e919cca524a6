"""`lipsum train` and `watch`: the public API through the `openai` SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from openai import APIConnectionError, APIStatusError, OpenAI
from openai.types.fine_tuning import FineTuningJob
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cli.client import make_client
from cli.tables import results_tables
from core.errors import InvalidRequest, ServiceError, Unavailable

POLL_SECONDS = 0.5  # between looks at a job that is being watched
ENDED = ("succeeded", "failed", "cancelled")
Answer = TypeVar("Answer")


def train(
    *,
    training_file: str,
    model: str,
    method: str | None,
    recipe: str | None,
    inputs: list[str],
    anchor: str | None,
    continue_from: str | None,
    hyperparameters: dict[str, str],
    splits: dict[str, str],
    validation_file: str | None,
    corruptions: list[str],
    allow_duplicates: bool,
    seed: int | None,
    n_seeds: int | None,
    suffix: str | None,
    priority: int,
    requires: list[str],
) -> str:
    """Submit a job; its id. `inputs` are jobs or models for `method` to combine or score."""
    if inputs and method is None:
        raise InvalidRequest(
            f"--input {inputs[0]} is for a method that reads finished models; name it with "
            "--method (`lipsum methods` lists them)",
            code="no_method",
        )
    options: dict[str, Any] = {name: value(text) for name, text in hyperparameters.items()}
    found = [{"name": name, "file": file} for name, file in splits.items()]
    extra: dict[str, Any] = {
        "evaluation": {
            "splits": found,
            "corruptions": corruptions,
            "allow_duplicates": allow_duplicates,
        },
    }
    said: dict[str, Any] = {
        "n_seeds": n_seeds,
        "anchor": anchor,
        "continue_from": continue_from,
        "recipe": recipe,
    }
    said |= {"priority": priority or None, "requires": requires or None}
    extra |= {name: given for name, given in said.items() if given is not None}
    body: dict[str, Any] = {"model": model, "training_file": training_file, "extra_body": extra}
    if method is not None or (recipe is None and continue_from is None):
        name = method or "lipsum_ft"
        found_inputs = {"inputs": inputs} if inputs else {}
        body["method"] = {"type": name, name: {"hyperparameters": options, **found_inputs}}
    elif options:
        body["hyperparameters"] = options
    if validation_file is not None:
        body["validation_file"] = validation_file
    if seed is not None:
        body["seed"] = seed
    if suffix is not None:
        body["suffix"] = suffix
    return said_plainly(lambda: make_client().fine_tuning.jobs.create(**body)).id


def watch(job_id: str) -> int:
    """Show a job until it ends: 0 when it succeeded, 1 otherwise."""
    console = Console(highlight=False)
    job = follow(make_client(), job_id, console)
    rows = (job.model_extra or {}).get("results") or []
    if rows:
        console.print(results_tables(rows))
    if job.status == "succeeded":
        console.print(f"model: {job.fine_tuned_model}")
        return 0
    reason = job.error.message if job.error else job.status
    console.print(f"[red]{job.status}[/red]: {reason}")
    return 1


def follow(client: OpenAI, job_id: str, console: Console) -> FineTuningJob:
    """Wait for a job's end behind a progress bar with the time that is left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(job_id, total=1.0)
        while True:
            job = said_plainly(lambda: client.fine_tuning.jobs.retrieve(job_id))
            extra = job.model_extra or {}
            progress = extra.get("progress") or {}
            phase = extra.get("phase") or job.status
            bar.update(task, completed=progress.get("fraction", 0.0), description=phase)
            if job.status in ENDED:
                return job
            time.sleep(POLL_SECONDS)


def upload(client: OpenAI, path: Path, name: str) -> str:
    """Send an archive; the file's id."""
    with path.open("rb") as content:
        return said_plainly(
            lambda: client.files.create(file=(name, content), purpose="fine-tune")
        ).id


def value(text: str) -> Any:
    """A hyperparameter as written: JSON (`0.1`, `true`, `null`, lists), else a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def said_plainly(call: Callable[[], Answer]) -> Answer:
    """The answer of a call, or the service's own sentence as a `ServiceError`."""
    try:
        return call()
    except APIConnectionError as fault:
        cause = fault.__cause__ or fault
        raise Unavailable(
            f"The service does not answer ({cause}). Is it running, and is its address right?",
            code="no_answer",
        ) from fault
    except APIStatusError as fault:
        body = fault.body if isinstance(fault.body, dict) else {}
        message = str(body.get("message") or fault.message)
        raise ServiceError(message, code=str(body.get("code") or fault.status_code)) from fault
