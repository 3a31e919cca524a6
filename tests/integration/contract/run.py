"""`schemathesis run` over a running service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.integration.contract.seeds import Seeds
from tests.integration.running import ROOT, Running

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """What came of it. The report itself is on standard output."""

    passed: bool
    answers: dict[str, Counter[int]]  # by operation, as `GET /v1/files`: how often which status

    @property
    def statuses(self) -> Counter[int]:
        return sum(self.answers.values(), Counter())

    def succeeded(self, operation: str) -> bool:
        """Whether it was answered 2xx at least once."""
        return any(200 <= status < 300 for status in self.answers.get(operation, ()))


def run_schemathesis(running: Running, seeds: Seeds, directory: Path, *options: str) -> Run:
    """Runs it to its end, with its files in that directory."""
    directory.mkdir()
    (directory / "seeds.json").write_text(json.dumps(asdict(seeds)), encoding="utf-8")
    (directory / "answers").touch()
    config = directory / "schemathesis.toml"
    settings = (HERE / "schemathesis.toml").read_text(encoding="utf-8")
    config.write_text(settings + _dictionaries(seeds), encoding="utf-8")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
            *("run", f"{running.address}/openapi.json", "--no-color", *options),
        ],
        cwd=directory,  # where it keeps what it remembers
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CONTRACT_HOOKS": str(HERE / "hooks.py"),
            "CONTRACT_KEY": running.key,
            "CONTRACT_SEEDS": str(directory / "seeds.json"),
            "CONTRACT_ANSWERS": str(directory / "answers"),
        },
        check=False,
    )
    return Run(ended.returncode == 0, _answers(directory / "answers"))


def _dictionaries(seeds: Seeds) -> str:
    """Lists of strings are the same in TOML and in JSON."""
    named = {name: ids for name, ids in asdict(seeds).items() if isinstance(ids, list)}
    return "".join(
        f"[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n" for name, ids in named.items()
    )


def _answers(path: Path) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        status, _, operation = line.partition(" ")
        found.setdefault(operation, Counter())[int(status)] += 1
    return found
