"""Pre-training the demo's base: a small CLIP, contrastively, on the drawn web's captions.

    python -m core.demo.pretrain --out DIR [--steps N] [--seed 0] [--device cpu]

Run it again with the same arguments and it goes on from its last checkpoint: every draw is a
function of (seed, step), so a resumed run sees the batches an unbroken one would have seen. A GPU
(`--device cuda`) sees them too, but rounds otherwise, and not the same way every time. At the end
it writes the base in open_clip's layout and refuses (exit status 1) one whose zero-shot
accuracy leaves the range the demo needs. Bases of other worlds: `core.demo.worlds.pretrain`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor

from core.demo import world
from core.demo.base_files import (
    MODEL_CFG,
    Tokenizer,
    load_tokenizer,
    new_model,
    to_pixels,
    write_model,
    write_numbers,
)
from core.demo.captions import PLAIN_SHARE
from core.demo.scoring import GATE, archive_accuracy, web_accuracy
from core.demo.web import PER_CLASS, Ids, Pictures, Web
from core.demo.worlds import DEMO, World
from core.demo.worlds.web import drawn_web

VALIDATION_PER_CLASS = 20
"""Held-out draws of each class in each domain, scored while training and at the end."""

CHECKPOINT_SECONDS = 120.0

MAX_LOGIT_SCALE = math.log(100.0)
"""CLIP's bound."""

SHARDS = 2
"""Parts of a batch, each contrasted within itself and computed by a thread of its own."""

_SHIFT = 2
"""Pixels a training picture may slide, edges repeated."""


@dataclass(frozen=True)
class Plan:
    """What a run does; the defaults are those of the base in the repository."""

    steps: int = 5000
    batch: int = 128
    peak_rate: float = 1.5e-3
    warmup_steps: int = 150
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    seed: int = 0
    device: str = "cpu"


class Fitted(NamedTuple):
    """A trained model, and the held-out draws and time that go into its numbers."""

    model: CLIP
    held_out: Web
    seconds: float


def pretrain(plan: Plan, out: Path, work: Path) -> dict[str, Any]:
    """Train, or go on training, and write the demo's base to `out`; its numbers as stored there."""
    fitted = fit(plan, (DEMO,), out, work)
    tokenizer = load_tokenizer(out)
    held_out = web_accuracy(fitted.model, tokenizer, fitted.held_out, (DEMO,))[DEMO.name]
    archive = world.write_archives(work, seed=plan.seed, train_per_class=0)["demo"]
    numbers = run_numbers(plan, fitted) | {
        "pictures": {name: count * len(world.CLASSES) for name, count in PER_CLASS.items()},
        "captions_naming_domain": 1.0 - PLAIN_SHARE,
        "templates": len(world.TEMPLATES),
        "habit": world.HABIT,
        "gate": list(GATE),
        "zero_shot_accuracy": {
            "pretrain_validation": held_out,
            "demo_test": archive_accuracy(out, archive, DEMO),
        },
    }
    write_numbers(out, numbers)
    return numbers


def fit(plan: Plan, worlds: Sequence[World], out: Path, work: Path) -> Fitted:
    """Train one base for all of `worlds`, or go on training it, and write its files to `out`.

    `work` holds the drawn pictures and the checkpoint of this plan and these worlds.
    """
    torch.manual_seed(plan.seed)
    cores = os.cpu_count() or 1
    web = drawn_web(work, worlds, split="pretrain", seed=plan.seed, workers=cores)
    held_out = drawn_web(
        work,
        worlds,
        split="pretrain_validation",
        per_class=VALIDATION_PER_CLASS,
        seed=plan.seed,
        workers=cores,
    )
    model = new_model()
    # The files come first, with fresh weights, because open_clip reads the tokenizer from them.
    write_model(work / "fresh", model)
    tokenizer = load_tokenizer(work / "fresh")
    model.to(plan.device)
    seconds = train(model, web, held_out, tokenizer, plan, work / "checkpoint.pt", worlds)
    model.cpu()
    write_model(out, model)
    return Fitted(model, held_out, seconds)


def run_numbers(plan: Plan, fitted: Fitted) -> dict[str, Any]:
    """What a card says of any base: the plan, the model, the time and the machine."""
    is_gpu = plan.device != "cpu"
    return {
        "plan": dataclasses.asdict(plan),
        "pictures_seen": plan.steps * plan.batch,
        "parameters": sum(parameter.numel() for parameter in fitted.model.parameters()),
        "patch_size": MODEL_CFG["vision_cfg"]["patch_size"],
        "logit_scale": round(fitted.model.logit_scale.exp().item(), 4),
        "seconds": round(fitted.seconds),
        "cores": os.cpu_count() or 1,
        "processor": _processor(),
        "torch": torch.__version__,
    } | ({"gpu": torch.cuda.get_device_name(plan.device)} if is_gpu else {})


def train(
    model: CLIP,
    web: Web,
    held_out: Web,
    tokenizer: Tokenizer,
    plan: Plan,
    checkpoint: Path,
    worlds: Sequence[World] = (DEMO,),
) -> float:
    """Train to the plan's last step, from `checkpoint` if there is one; seconds spent in all.

    The model must be on the plan's device.
    """
    optimiser = torch.optim.AdamW(
        _groups(model, plan), lr=plan.peak_rate, betas=(0.9, 0.98), fused=True
    )
    first, seconds = _resume(checkpoint, plan, model, optimiser)
    ids_NL = tokenizer(web.captions_N)
    began = saved = time.monotonic()
    model.train()
    with _shard_threads() as pool:
        for step in range(first, plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(plan, step)
            loss = _step(pool, model, optimiser, web, ids_NL, plan, step)
            spent = seconds + time.monotonic() - began
            if (step + 1) % 100 == 0:
                scale = model.logit_scale.exp().item()
                print(f"step {step + 1}/{plan.steps} loss {loss:.3f} scale {scale:.1f} "
                      f"{spent:.0f} s", flush=True)  # fmt: skip
            if (step + 1) % 1000 == 0:
                print(f"  held out {web_accuracy(model, tokenizer, held_out, worlds)}", flush=True)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save(checkpoint, plan, model, optimiser, step + 1, spent)
                saved = time.monotonic()
    seconds += time.monotonic() - began
    _save(checkpoint, plan, model, optimiser, plan.steps, seconds)
    return seconds


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < plan.warmup_steps:
        return plan.peak_rate * (step + 1) / plan.warmup_steps
    done = (step - plan.warmup_steps) / max(1, plan.steps - plan.warmup_steps)
    return plan.peak_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def contrastive_loss(
    image_BD: Tensor, text_BD: Tensor, scale: Tensor, is_match_BB: Tensor
) -> Tensor:
    """CLIP's symmetric cross-entropy with every matching pair of the batch a positive.

    With a few things in a few manners a batch repeats itself many times over, and CLIP's own target
    (the diagonal) would call the repeats negatives.
    """
    logits_BB = scale * image_BD @ text_BD.T
    match_BB = is_match_BB.float()
    by_image = (match_BB / match_BB.sum(1, keepdim=True) * F.log_softmax(logits_BB, 1)).sum(1)
    by_text = (match_BB / match_BB.sum(0, keepdim=True) * F.log_softmax(logits_BB, 0)).sum(0)
    return -0.5 * (by_image.mean() + by_text.mean())


def encode_text(model: CLIP, ids_BL: Tensor) -> Tensor:
    """CLIP's own text encoding, over the positions in use: in a causal tower the rest is idle."""
    length = int((ids_BL != 0).sum(1).max())
    ids_BL = ids_BL[:, :length]
    x_BLD = model.token_embedding(ids_BL) + model.positional_embedding[:length]
    x_BLD = model.transformer(x_BLD, attn_mask=model.attn_mask[:length, :length])
    x_BLD = model.ln_final(x_BLD)
    pooled_BD = x_BLD[torch.arange(len(x_BLD), device=x_BLD.device), ids_BL.argmax(1)]
    features_BD: Tensor = pooled_BD @ model.text_projection
    return features_BD


@contextmanager
def _shard_threads() -> Iterator[ThreadPoolExecutor]:
    """A thread a shard, operators within it on one core.

    Two threads inside every operator wait for one another most of the time at these sizes, and
    worse when something else wants a core.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(SHARDS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _step(
    pool: ThreadPoolExecutor,
    model: CLIP,
    optimiser: torch.optim.Optimizer,
    web: Web,
    ids_NL: Tensor,
    plan: Plan,
    step: int,
) -> float:
    rng = np.random.default_rng([plan.seed, step])
    chosen = rng.choice(len(web.labels_N), (SHARDS, plan.batch // SHARDS), replace=False)
    chosen.sort(axis=1)
    seeds = [[plan.seed, step, shard] for shard in range(SHARDS)]
    parameters = list(model.parameters())

    def shard_gradients(chosen_B: Ids, seed: list[int]) -> tuple[float, tuple[Tensor, ...]]:
        loss = _shard_loss(model, web, ids_NL, chosen_B, seed)
        return loss.item(), torch.autograd.grad(loss, parameters)

    results = list(pool.map(shard_gradients, chosen, seeds))
    for parameter, *gradients in zip(parameters, *(grads for _, grads in results), strict=True):
        parameter.grad = torch.stack(gradients).mean(0)
    torch.nn.utils.clip_grad_norm_(parameters, plan.clip_norm)
    optimiser.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0.0, MAX_LOGIT_SCALE)
    return sum(loss for loss, _ in results) / SHARDS


def _shard_loss(model: CLIP, web: Web, ids_NL: Tensor, chosen_B: Ids, seed: list[int]) -> Tensor:
    pixels = to_pixels(_augment(web.images_NHWC[chosen_B], np.random.default_rng(seed)))
    labels, domains = (torch.from_numpy(of[chosen_B]) for of in (web.labels_N, web.domains_N))
    is_plain = torch.from_numpy(~web.names_domain_N[chosen_B])
    is_match_BB = (labels[:, None] == labels) & (is_plain | (domains[:, None] == domains))
    ids_BL = ids_NL[torch.from_numpy(chosen_B)]
    device = model.logit_scale.device
    return contrastive_loss(
        model.encode_image(pixels.to(device), normalize=True),
        F.normalize(encode_text(model, ids_BL.to(device)), dim=-1),
        model.logit_scale.exp(),
        is_match_BB.to(device),
    )


def _augment(images: Pictures, rng: np.random.Generator) -> Pictures:
    """Each picture slid a little and mirrored at random."""
    count, size = images.shape[:2]
    slide = rng.integers(-_SHIFT, _SHIFT + 1, (2, count, 1))
    rows, columns = np.clip(np.arange(size) + slide, 0, size - 1)
    columns = np.where(rng.random((count, 1)) < 0.5, columns[:, ::-1], columns)
    slid: Pictures = images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return slid


def _groups(model: CLIP, plan: Plan) -> list[dict[str, Any]]:
    """Matrices decay; gains, biases, the scale and embeddings do not."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim >= 2 and "embedding" not in name
        (decayed if is_matrix else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": plan.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def _resume(
    path: Path, plan: Plan, model: CLIP, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["plan"] != dataclasses.asdict(plan):
        raise ValueError(f"{path} is of another plan, {state['plan']}: remove it or use --work")
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"]), float(state["seconds"])


def _save(
    path: Path,
    plan: Plan,
    model: CLIP,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    """Written beside and renamed over, so a killed run leaves the last whole checkpoint."""
    partial = path.with_suffix(".partial")
    state = {
        "plan": dataclasses.asdict(plan),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, partial)
    os.replace(partial, path)


def _processor() -> str:
    """The processor as Linux names it; elsewhere the machine's architecture."""
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.machine()
    lines = information.read_text().splitlines()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")


def device_name(text: str) -> str:
    """`text` if it names a device that a base can be trained on here, as an option's type."""
    try:
        kind = torch.device(text).type
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no device: use cpu or cuda") from error
    if kind not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError(f"bases are not trained on {kind!r}: use cpu or cuda")
    if kind == "cuda" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError("torch finds no CUDA device here: use cpu")
    return text


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 when every domain lies within the gate."""
    parser = argparse.ArgumentParser(prog="python -m core.demo.pretrain", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the base is written")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "lipsum-demo",
                        help="pictures and checkpoint, to go on from")  # fmt: skip
    parser.add_argument("--device", type=device_name, default=Plan.device)
    options = parser.parse_args(arguments)
    plan = Plan(steps=options.steps, seed=options.seed, device=options.device)
    numbers = pretrain(plan, options.out, options.work)
    accuracy = numbers["zero_shot_accuracy"]["demo_test"]
    print(f"zero-shot accuracy on the demo's test draws: {accuracy}")
    outside = [name for name, value in accuracy.items() if not GATE[0] <= value <= GATE[1]]
    for name in outside:
        print(f"{name}: {accuracy[name]} % is outside {GATE[0]:.0f} to {GATE[1]:.0f} %: train "
              "longer if below, make the world harder if above", file=sys.stderr)  # fmt: skip
    return 1 if outside else 0


if __name__ == "__main__":
    raise SystemExit(main())
