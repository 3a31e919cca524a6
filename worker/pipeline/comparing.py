"""The last job of a comparison: reads what the others left and writes the report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from core.errors import InvalidSpec
from core.jobs.spec import ComparedJob, ComparisonSpec
from core.learning.comparison.contender import Source
from core.learning.comparison.document import Cost, Provenance
from core.learning.comparison.findings import compare
from core.learning.comparison.stored import JobFiles, NotComparable
from core.learning.comparison.write import write_comparison
from core.learning.methods import registry
from worker.pipeline.workspace import Workspace

_RULES = (
    "Checkpoints: the best accuracy on ID validation images.",
    "Constants of combinations: fitted on ID validation images, unless they were given.",
)


def run_comparison(workspace: Workspace) -> None:
    """Fetch every job's results, compare them, store the report's files and say the verdict."""
    asked = workspace.spec.comparison
    assert asked is not None  # no other job has this duty
    seconds = {job.label: job.seconds for job in asked.jobs}
    sources = []
    for place, job in enumerate(asked.jobs):
        sources.append(_source(workspace, job, seconds))
        workspace.reporter.within("preparing", (place + 1) / len(asked.jobs))
    try:
        found = compare(sources, _provenance(workspace, asked))
    except NotComparable as fault:
        raise InvalidSpec(f"{fault}.", code="not_comparable", param="methods") from fault
    workspace.reporter.within("evaluating", 1.0)
    folder = workspace.directory / "report"
    for path in write_comparison(found, folder):
        workspace.store_artifact(path.relative_to(folder).as_posix(), path)
    workspace.reporter.event(found.verdict.headline, verdict=found.verdict.headline)
    workspace.reporter.within("exporting", 1.0)


def _source(workspace: Workspace, job: ComparedJob, seconds: dict[str, float]) -> Source:
    folder = workspace.directory / "contenders" / job.label
    folder.mkdir(parents=True)
    results, predictions = folder / "results.json", folder / "predictions.parquet"
    workspace.store.download(job.results_key, results)
    workspace.store.download(job.predictions_key, predictions)
    method = registry()[job.method]
    parents = tuple(Cost(what=label, seconds=seconds.get(label, 0.0)) for label in job.of)
    return Source(
        name=job.label,
        label=job.label,
        method_title=method.title,
        citation=method.citation,
        files=(JobFiles(results, predictions, row=_own_row(results)),),
        costs=(*parents, Cost(what=job.label, seconds=job.seconds)),
    )


def _own_row(results: Path) -> str:
    """What the job calls its own result, beside the models it was scored with."""
    row: str = json.loads(results.read_text(encoding="utf-8"))["result"]
    return row


def _provenance(workspace: Workspace, asked: ComparisonSpec) -> Provenance:
    left_out = tuple(f"{label} is left out: {why}." for label, why in asked.left_out.items())
    return Provenance(
        title=asked.title,
        base=workspace.spec.theta0.id,
        date=datetime.now(UTC).date().isoformat(),
        version=version("lipsum"),
        selected_by=_RULES,
        notes=left_out,
    )
