"""Pre-training one base for one or several drawn worlds, as `core.demo.pretrain` does the demo's.

    python -m core.demo.worlds.pretrain --worlds NAME [NAME ...] --out DIR
        [--steps N] [--seed 0] [--device cpu]

Run it again with the same arguments and it goes on from its last checkpoint. It ends with exit
status 1 when a zero-shot accuracy leaves the range in which fine-tuning can both gain and lose.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.demo.base_files import load_tokenizer
from core.demo.pretrain import Plan, device_name, fit, run_numbers
from core.demo.scoring import archive_accuracy, web_accuracy
from core.demo.worlds import WORLDS, World
from core.demo.worlds.card import write_numbers
from core.demo.worlds.sentences import PLAIN_SHARE

FIRST_GATE = (60.0, 85.0)
"""Zero-shot accuracy, percent, wanted on a world's first domain: there must be room to gain."""

SHIFTED_GATE = (50.0, 95.0)
"""The same on each shifted domain: there must be something to lose."""


def pretrain(plan: Plan, worlds: Sequence[World], out: Path, work: Path) -> dict[str, Any]:
    """Train, or go on training, one base for `worlds` to `out`; its numbers as stored there."""
    fitted = fit(plan, worlds, out, work)
    held_out = web_accuracy(fitted.model, load_tokenizer(out), fitted.held_out, worlds)
    entries = {}
    for world in worlds:
        archive = work / f"{world.name}.zip"
        world.write_archive(archive, seed=plan.seed, train_per_class=0)
        entries[world.name] = {
            "classes": len(world.classes),
            "templates": len(world.templates),
            "pictures": {
                domain: count * len(world.classes) for domain, count in world.web_per_class.items()
            },
            "zero_shot_accuracy": {
                "web": held_out[world.name],
                "test": archive_accuracy(out, archive, world),
            },
        }
    numbers = run_numbers(plan, fitted) | {
        "worlds": entries,
        "captions_naming_manner": 1.0 - PLAIN_SHARE,
        "gate": {"first": list(FIRST_GATE), "shifted": list(SHIFTED_GATE)},
    }
    write_numbers(out, numbers)
    return numbers


def outside_gate(world: World, accuracy: dict[str, float]) -> list[str]:
    """The domains of the user's test whose zero-shot accuracy is not in the range wanted."""
    gates = dict.fromkeys(world.shifted, SHIFTED_GATE) | {world.domains[0]: FIRST_GATE}
    return [name for name, value in accuracy.items() if not _within(value, gates[name])]


def _within(value: float, gate: tuple[float, float]) -> bool:
    return gate[0] <= value <= gate[1]


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 when every domain lies within its gate."""
    parser = argparse.ArgumentParser(prog="python -m core.demo.worlds.pretrain",
                                     description=__doc__)  # fmt: skip
    parser.add_argument("--worlds", nargs="+", choices=sorted(WORLDS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="where the base is written")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "lipsum-worlds",
                        help="pictures and checkpoints, to go on from")  # fmt: skip
    parser.add_argument("--device", type=device_name, default=Plan.device)
    options = parser.parse_args(arguments)
    worlds = [WORLDS[name] for name in dict.fromkeys(options.worlds)]
    # A checkpoint is of one set of worlds in one order, so each has a folder.
    work = options.work / "-".join(world.name for world in worlds)
    plan = Plan(steps=options.steps, seed=options.seed, device=options.device)
    numbers = pretrain(plan, worlds, options.out, work)
    failed = False
    for world in worlds:
        accuracy = numbers["worlds"][world.name]["zero_shot_accuracy"]["test"]
        print(f"zero-shot accuracy on the user's test draws of {world.name}: {accuracy}")
        for name in outside_gate(world, accuracy):
            failed = True
            print(f"{world.name}, {name}: {accuracy[name]} % is outside its gate: train longer if "
                  "below, make the world harder if above", file=sys.stderr)  # fmt: skip
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
