"""What is asked for: a few specifications, each run once in calm and several times in chaos.

They are as small as they can be with work in every phase: a tiny CLIP, pictures told apart by
colour. Jobs that combine read the jobs of other specifications.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.jobs import colour_archive

N_ARCHIVES = 4
_TRAINING = {"batch_size": 8, "learning_rate": 1e-3, "n_evaluations": 3}


@dataclass(frozen=True)
class Spec:
    """A job but for the ids of its file and its inputs."""

    name: str
    method: str
    archive: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()  # names of specifications
    seed: int = 0
    n_seeds: int = 1

    def request(self, file_id: str, input_ids: list[str]) -> dict[str, Any]:
        """The body of a POST."""
        options: dict[str, Any] = {"hyperparameters": dict(self.hyperparameters)}
        if input_ids:
            options["inputs"] = input_ids
        body: dict[str, Any] = {
            "model": "base:tiny",
            "training_file": file_id,
            "method": {"type": self.method, self.method: options},
        }
        if not self.inputs:
            body |= {"seed": self.seed, "extra_body": {"n_seeds": self.n_seeds}}
        return body


def _training(name: str, method: str, archive: int, n_steps: int, **more: Any) -> Spec:
    return Spec(name, method, archive, {**_TRAINING, "n_steps": n_steps}, **more)


SPECS = (
    _training("lipsum_ft", "lipsum_ft", 0, 200, seed=5),
    _training("ft", "ft", 1, 240, seed=1),
    _training("car_ft", "car_ft", 2, 200),
    _training("ema", "ema", 3, 240, seed=2),
    Spec("wise_ft", "wise_ft", 0, {"alphas": [0.0, 0.25, 0.5, 0.75, 1.0]}, ("lipsum_ft",)),
    Spec("tpgm", "tpgm", 1, {"n_steps": 150}, ("ft",)),
    _training("two_seeds", "l2sp", 0, 120, seed=3, n_seeds=2),
    _training("kd", "kd", 1, 200, seed=7),
    Spec("soup", "soup", 0, {}, ("two_seeds",)),
    Spec("temperature", "temperature", 1, {}, ("kd",)),
    _training("lp_ft", "lp_ft", 2, 200, seed=4),
    Spec("fisher", "wise_ft", 2, {"fisher": True}, ("car_ft",)),
)
BY_NAME = {spec.name: spec for spec in SPECS}


def make_archives(folder: Path) -> list[Path]:
    """The pictures, the same wherever they are drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        colour_archive(folder / f"colours-{number}.zip", per_class=24 + 2 * number)
        for number in range(N_ARCHIVES)
    ]


def copy_of(archive: Path, number: int, target: Path) -> Path:
    """The same pictures in an archive of other bytes: to the service a file of its own, to check
    and to decode like any other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    date = (2000 + number // 300, 1 + number // 25 % 12, 1 + number % 25, 0, 0, 0)
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            copy.writestr(zipfile.ZipInfo(name, date), source.read(name))
    return target


def depth(spec: Spec) -> int:
    """How many specifications must be done before it can be asked for."""
    return 1 + max((depth(BY_NAME[name]) for name in spec.inputs), default=-1)
