"""What checkpoints cost training: blocks of steps without one and with one, in turns.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.checkpoints --record docs/results/checkpoints.json
    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.checkpoints --model RN50 --pairs 3

A block with a checkpoint begins with it, and its steps last longer than the checkpoint takes to be
stored, so that all it costs is in the block: the copy that training waits for, and what the thread
that stores it takes of processors, memory and disk. The difference between neighbouring blocks,
over the default interval, is the share of training time that checkpoints cost. Processor time is
compared beside it, since a wall clock also shows whatever else the machine does. The model is
random and so are its images; checkpoints go where a worker's go, into a directory store. Threads
wait as a worker's trainers have them wait.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import load
from cli.provenance import commit, machine
from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.models import Clip, Head, pick_device
from core.learning.random_text import DrawnTexts
from core.learning.trainer import Trainer
from core.objects import ObjectStore
from core.settings import Settings
from tests.builders import RandomBatches
from tests.service_builders import specification
from worker.pipeline.checkpoints import Checkpoints
from worker.pipeline.plan import PlannedRun
from worker.pipeline.reports import Reporter
from worker.pipeline.step_metrics import RunLog
from worker.pipeline.workspace import Workspace

TARGET = 0.02  # of training time, at the default interval
N_CLASSES = 100


@dataclass(frozen=True)
class Pair:
    """Two neighbouring blocks of as many steps. Seconds."""

    without: float
    with_one: float
    processor_without: float  # of all threads together
    processor_with_one: float
    copied: float  # that training waited for the copy
    stored: float  # until the checkpoint was in the store

    @property
    def cost(self) -> float:
        return self.with_one - self.without

    @property
    def processor_cost(self) -> float:
        return self.processor_with_one - self.processor_without


def main() -> None:
    options = _parse()
    console = Console(highlight=False)
    before = load()
    trainer = _trainer(options)
    with tempfile.TemporaryDirectory() as directory:
        workspace = _workspace(Path(directory))
        log = RunLog(workspace, PlannedRun(0, trainer.method, 0, 0, 0, 0), 1000)
        with Checkpoints(workspace) as checkpoints:
            block = _Block(trainer, checkpoints, log)
            seconds = block.warm_up()
            steps = max(2, round(options.seconds / seconds))
            pairs = []
            for number in range(options.pairs):
                pairs.append(block.pair(steps, with_one_first=number % 2 == 1))
                console.print(f"pair {number + 1}: {pairs[-1]}")
        size = max(item.size for item in workspace.store.list("jobs"))
    found = _summary(options, trainer, steps, pairs, size) | {
        "load": {"before": before, "after": load()}
    }
    _show(console, found)
    if options.record is not None:
        text = json.dumps(found, indent=1)
        Path(options.record).write_text(f"{text}\n", encoding="utf-8")


class _Block:
    """Steps of one run, with a checkpoint before them or without."""

    def __init__(self, trainer: Trainer, checkpoints: Checkpoints, log: RunLog) -> None:
        self._trainer, self._checkpoints, self._log = trainer, checkpoints, log

    def warm_up(self) -> float:
        """What only the first steps and the first checkpoint cost; seconds of a step after."""
        self._steps(2)
        self._keep()
        self._checkpoints.wait()
        return self._steps(2)[0] / 2

    def pair(self, steps: int, *, with_one_first: bool) -> Pair:
        if with_one_first:
            with_one, without = self._with_one(steps), self._steps(steps)
        else:
            without, with_one = self._steps(steps), self._with_one(steps)
        return Pair(without[0], with_one[0], without[1], with_one[1], self._copied, self._stored_at)

    def _with_one(self, steps: int) -> tuple[float, float]:
        began, processor = time.perf_counter(), time.process_time()
        self._keep()
        self._copied = time.perf_counter() - began
        self._steps(steps)
        storing = self._checkpoints.storing
        if storing is None or not storing.done():
            raise SystemExit("the block was over before its checkpoint was stored; raise --seconds")
        self._stored_at -= began
        return time.perf_counter() - began, time.process_time() - processor

    def _keep(self) -> None:
        self._checkpoints.keep(0, self._trainer, self._log)
        storing = self._checkpoints.storing
        assert storing is not None
        storing.add_done_callback(self._note)

    def _note(self, _storing: object) -> None:
        self._stored_at = time.perf_counter()

    def _steps(self, number: int) -> tuple[float, float]:
        """Seconds on the wall and of the processors."""
        began, processor = time.perf_counter(), time.process_time()
        for _ in range(number):
            losses = self._trainer.train_step()
        float(losses["loss"])  # a GPU has done them
        return time.perf_counter() - began, time.process_time() - processor


def _trainer(options: argparse.Namespace) -> Trainer:
    config: dict[str, Any] = {"model_cfg": open_clip.get_model_config(options.model)}
    model = open_clip.create_model(options.model, pretrained=None)
    config["preprocess_cfg"] = dict(open_clip.get_model_preprocess_cfg(model))
    tokenizer = open_clip.get_tokenizer(options.model)
    clip = Clip(model.eval(), tokenizer, config, {}).to(pick_device("auto"))
    classes = [f"class {number}" for number in range(N_CLASSES)]
    weight = torch.nn.functional.normalize(torch.randn(clip.embed_dim, N_CLASSES), dim=0)
    head = Head(weight, clip.scale, classes, classes, ["a photo of a {}."], {})
    method = registry()[options.method]
    assert issubclass(method, TrainingMethod)
    knobs = {"batch_size": options.batch_size, "n_steps": 1_000_000, "precision": "fp32"}
    resolved = method(method.resolve(knobs, n_train=100_000))
    batches = RandomBatches(options.batch_size, N_CLASSES, clip.image_size)
    return Trainer(clip, head, resolved, batches, DrawnTexts(clip.text, 0))


def _workspace(directory: Path) -> Workspace:
    settings = Settings(data_dir=directory / "data")
    store = ObjectStore.from_settings(settings)
    work = directory / "work"
    work.mkdir()
    reporter = Reporter(os.open(os.devnull, os.O_WRONLY))
    return Workspace(specification(), 1, settings, store, reporter, work)


def _summary(
    options: argparse.Namespace, trainer: Trainer, steps: int, pairs: list[Pair], size: int
) -> dict[str, Any]:
    interval = float(Settings.model_fields["checkpoint_seconds"].default)
    cost = statistics.median(pair.cost for pair in pairs)
    processor_cost = statistics.median(pair.processor_cost for pair in pairs)
    return {
        "command": "python -m benchmarks.checkpoints",
        "commit": commit(),
        "machine": machine(),
        "model": options.model,
        "method": options.method,
        "batch_size": options.batch_size,
        "threads": torch.get_num_threads(),
        "steps_of_a_block": steps,
        "pairs": [asdict(pair) for pair in pairs],
        "bytes": size,
        "step_seconds": statistics.median(pair.without for pair in pairs) / steps,
        "copied_seconds": statistics.median(pair.copied for pair in pairs),
        "stored_seconds": statistics.median(pair.stored for pair in pairs),
        "cost_seconds": cost,
        "interval_seconds": interval,
        "share": cost / interval,
        "processor_cost_seconds": processor_cost,
        "processor_share": processor_cost / torch.get_num_threads() / interval,
        "target": TARGET,
    }


def _show(console: Console, found: dict[str, Any]) -> None:
    table = Table(title=f"{found['method']} of {found['model']}, batch {found['batch_size']}")
    table.add_column("what")
    table.add_column("measured", justify="right")
    rows = (
        ("a step", f"{found['step_seconds']:.3f} s"),
        ("a checkpoint", f"{found['bytes'] / 1e6:.0f} MB"),
        ("training waits for its copy", f"{found['copied_seconds']:.3f} s"),
        ("it is stored after", f"{found['stored_seconds']:.2f} s"),
        ("it costs, all in all", f"{found['cost_seconds']:.2f} s"),
        (
            f"of training, one every {found['interval_seconds']:.0f} s",
            f"{100 * found['share']:.2f} % (target {100 * found['target']:.0f} %)",
        ),
        ("processor time it takes", f"{found['processor_cost_seconds']:.2f} s"),
        ("of what training may take", f"{100 * found['processor_share']:.2f} %"),
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What checkpoints cost training.")
    parser.add_argument("--model", default="ViT-B-32", help="open_clip's name of an architecture")
    parser.add_argument("--method", default="lipsum_ft")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0, help="of a block, about")
    parser.add_argument("--record", help="where to write the measurements, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
