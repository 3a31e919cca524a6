"""What a real trainer stored, set side by side."""

import json
from pathlib import Path

import pytest

from core.jobs.messages import Finished
from core.learning.comparison.contender import Source
from core.learning.comparison.document import Cost, Provenance, from_json, to_json
from core.learning.comparison.findings import compare
from core.learning.comparison.stored import JobFiles
from core.settings import Settings
from tests.integration.worker.test_run import run_trainer
from tests.jobs import job_spec


def test_a_jobs_own_files_make_a_comparison(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", trainer_threads=1, device="cpu")
    spec = job_spec(settings, tmp_path / "inputs", seeds=(0, 1))
    run_trainer(settings, spec, tmp_path / "check", "check")
    assert run_trainer(settings, spec, tmp_path / "train", "train")[-1] == Finished()

    def source(row: str) -> Source:
        files = JobFiles(
            tmp_path / "train" / "results.json", tmp_path / "train" / "predictions.parquet", row
        )
        return Source(row, row, "Lipsum-FT", "Nam et al.", (files,), (Cost(what="it", seconds=9),))

    provenance = Provenance(title="colours", base="tiny", date="", commit="", version="")
    comparison = compare([source("fine_tuned"), source("wise_ft@0.5")], provenance)
    findings = comparison.findings
    assert {split.name: split.n for split in findings.splits} == {"test": 18, "night": 12}
    rows = json.loads((tmp_path / "train" / "results.json").read_text())["rows"]
    for contender in findings.contenders:
        assert contender.figures.seeds == (0, 1)
        assert [point.alpha for point in contender.curve] == [0.0, 0.5, 1.0]
        for metric in ("accuracy", "nll", "ece"):
            stored = {
                row["seed"]: row["value"]
                for row in rows
                if (row["model"], row["split"], row["metric"]) == (contender.name, "night", metric)
            }
            assert contender.figures.splits["night"][metric].by_seed == pytest.approx(stored)
    assert from_json(to_json(comparison)) == comparison
