"""The one loop every training method runs in.

Shapes: B images of a step, D features, K classes. What trains is the method's to say; the rest is
frozen, and every module stays in evaluation mode: nothing is dropped that the method does not
drop itself, and batch statistics, where a tower has them, stay what pre-training left. Losses are
computed in float32 whatever precision the towers run in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from core.learning.determinism import is_repeatable, repeatable_kernels
from core.learning.memory import in_smaller_parts
from core.learning.methods.base import Losses, TrainingHyperparameters, TrainingMethod
from core.learning.models import Clip, Head
from core.learning.precision import autocast_dtype
from core.learning.processes import Processes
from core.learning.projections import make_projection
from core.learning.random_text import RandomTexts
from core.learning.schedule import Schedule
from core.learning.steps import CachedStep, DirectStep, Surroundings, TokenCache
from core.learning.student import HEAD, Start, Student

REPORT_EVERY = 10  # steps between reports; losses stay on the device in between

Validate = Callable[[Head], float]
"""Accuracy on the ID validation split of the weights the model holds now, with that head."""


class Batches(Protocol):
    """Where a run's images come from: a pixel store, or a file read by `lipsum verify`."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Normalised images (B, 3, S, S) float32 and labels (B,) int64 of one step. Where several
        processes share it, only this one's share of the images, but all labels."""


class Keeper(Protocol):
    """Who keeps a run's state while it trains, with `core.learning.snapshot`."""

    def is_due(self) -> bool:
        """Whether to keep the state that the run has now. Asked after every step but the last."""

    def keep(self, trainer: Trainer) -> None:
        """The run stands between two steps, and all before were reported. May raise to stop it."""


class LossNotFinite(ArithmeticError):
    """The loss became infinite or NaN. `step` counts from 0."""

    def __init__(self, step: int, value: float) -> None:
        super().__init__(
            f"the loss became {value} at step {step}; lower the learning rate or set clip_norm"
        )
        self.step = step


@dataclass(frozen=True)
class StepReport:
    """What one step measured: floats by name, `learning_rate` and `gradient_norm` among them."""

    step: int
    values: dict[str, float]


@dataclass
class TrainedState:
    """A model as its method hands it over, on the CPU: what changed of its state, and its head."""

    step: int
    weights: dict[str, Tensor]
    head: Head
    validation_accuracy: float | None = None


@dataclass
class TrainingRun:
    """What a whole run gives: the state chosen on validation and the last one."""

    best: TrainedState
    last: TrainedState
    validations: list[tuple[int, float]] = field(default_factory=list)


class Trainer:
    """One run of one method on one model. `train_step` advances it by one step."""

    def __init__(
        self,
        clip: Clip,
        head: Head,
        method: TrainingMethod,
        batches: Batches,
        texts: RandomTexts | None = None,
        *,
        seed: int = 0,
        start: Start | None = None,
        class_weights: Tensor | None = None,
        repeatable: bool = False,
        on_halved: Callable[[int, int], None] = lambda step, images: None,
    ) -> None:
        """`clip` holds theta0, and `head` is its own: what the method keeps to. Training begins
        there, or from `start`. `repeatable` asks for deterministic kernels on a GPU too; on the CPU
        they are used anyway. `on_halved` is told when memory ran out, of the step and how many
        images pass through the towers at once from then on."""
        self.method = method
        self.batches = batches
        self.recipe: TrainingHyperparameters = _recipe(method)
        self.schedule = make_schedule(self.recipe)
        self.student = Student(clip, head, method.trains, seed, start)
        self.processes = Processes.current()
        self.micro_batch = int(self.recipe.micro_batch_size)  # images; less once memory ran out
        self.next_step = 0
        self.best: TrainedState | None = None  # of the validations so far, the earliest on ties
        self.validations: list[tuple[int, float]] = []  # after how many steps, accuracy
        self.is_repeatable = is_repeatable(clip.device, repeatable)
        self.surroundings = Surroundings(
            self.student,
            self.student.frozen_copy() if method.needs_theta0 else None,
            texts,
            TokenCache(clip),
            self.schedule.total_steps,
            clip.scale,
            self.recipe.label_smoothing,
            None if class_weights is None else class_weights.to(clip.device),
            autocast_dtype(self.recipe.precision, clip.device),
        )
        self._on_halved = on_halved
        self._at_hand: dict[int, tuple[Tensor, Tensor]] = {}  # a batch that a probe has taken
        method.attach(self.student)
        self.projection = make_projection(
            self.recipe.projection, self.recipe.projection_strength, self.student
        )
        self.student.begin()
        method.begin(self.student)
        self._trained = list(self.student.trained().values())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(parameters.values()), "part": part}
                for part, parameters in self.student.parameters().items()
            ],
            lr=0.0,
            betas=(self.recipe.beta1, self.recipe.beta2),
            eps=self.recipe.epsilon,
            weight_decay=self.recipe.weight_decay,
            fused=True,
        )

    def train_step(self) -> dict[str, Tensor]:
        """One update. The step's losses and gradient norm as scalars still on the device."""
        with repeatable_kernels(self.is_repeatable):
            return self._step()

    def probe(self) -> None:
        """Find out how many images fit at once before any step counts: the next step's backward
        pass, with all that ever trains, beside room for the moments that the optimiser will hold.
        Changes nothing but `micro_batch`. Raises `core.learning.memory.DoesNotFit`.
        """
        number, known = self.next_step, self.optimizer.state
        batch = self.batches.batch(number)
        for parameter in self._trained:
            parameter.requires_grad_(True)
        self.method.before_step(self.student, number)
        room = [torch.empty_like(p) for p in self._trained if p not in known for _ in range(2)]
        with repeatable_kernels(self.is_repeatable):
            self._backward(number, *batch)
        del room
        self.optimizer.zero_grad(set_to_none=True)
        self._at_hand = {number: batch}

    def run(
        self,
        *,
        on_reports: Callable[[list[StepReport]], None],
        validate: Validate | None = None,
        keeper: Keeper | None = None,
    ) -> TrainingRun:
        """All remaining steps; the state with the best validation accuracy, earliest on ties.

        Raises `LossNotFinite` with the step, `core.learning.memory.DoesNotFit` and
        `core.learning.processes.CameApart`.
        """
        total = self.schedule.total_steps
        self._probe_a_gpu()
        validation_steps = evaluation_steps(total, self.recipe.n_evaluations)
        pending: list[dict[str, Tensor]] = []
        last: TrainedState | None = None
        while self.next_step < total:
            pending.append(self.train_step())
            at_end = self.next_step == total
            validating = validate is not None and self.next_step in validation_steps
            keeping = keeper is not None and not at_end and keeper.is_due()
            if len(pending) == REPORT_EVERY or validating or at_end or keeping:
                on_reports(self._reports(pending))
                pending = []
            if validating or at_end:
                last = self._validate(validate if validating else None)
            if keeper is not None and keeping:
                keeper.keep(self)
        self.processes.require_same(self._trained)
        last = self.state(None) if last is None else last
        return TrainingRun(self.best or last, last, self.validations)

    def follow(self) -> None:
        """All remaining steps, in a process that takes its share of another's run. That one reports
        them, scores and keeps what comes of them.

        Raises `core.learning.processes.CameApart`.
        """
        self._probe_a_gpu()
        while self.next_step < self.schedule.total_steps:
            self.train_step()
        self.processes.require_same(self._trained)

    def state(self, validate: Validate | None = None) -> TrainedState:
        """A copy of the finished model as it would be now, scored if asked."""
        with self.finished() as head:
            accuracy = None if validate is None else validate(head)
            live = {n: t for n, t in self.student.changing().items() if n != HEAD}
            weights = {name: tensor.detach().cpu().clone() for name, tensor in live.items()}
            own = replace(head, weight=head.weight.detach().cpu().clone())
            return TrainedState(self.next_step, weights, own, accuracy)

    @contextmanager
    def finished(self) -> Iterator[Head]:
        """The model holds what the method would hand over now; yields the head that goes with it.
        Afterwards it holds its training weights again.
        """
        student = self.student
        instead = self.method.finished_weights(student)
        live = student.tensors()
        kept = {name: live[name].detach().clone() for name in instead}
        try:
            student.put(instead)
            weight = student.built_head() if student.builds_head else student.head.detach()
            scale = student.clip.scale if student.builds_head else student.start.scale
            yield replace(student.start, weight=weight, scale=scale, from_text=student.builds_head)
        finally:
            student.put(kept)
            self.method.resume_training(student)

    def _probe_a_gpu(self) -> None:
        if self.student.clip.device.type == "cuda" and self.next_step < self.schedule.total_steps:
            self.probe()

    def _step(self) -> dict[str, Tensor]:
        number = self.next_step
        images, labels = self._batch(number)
        self._choose_parts(number)
        self.method.before_step(self.student, number)
        parts = self._backward(number, images, labels)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self._trained if p.grad is not None])
        if self.recipe.clip_norm is not None:
            self._clip(norm, self.recipe.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.method.learning_rate(group["part"], number, self.schedule)
        if self.projection is not None:
            self.projection.before_update(self.student)
        self.optimizer.step()
        if self.projection is not None:
            self.projection.after_update(self.student, number)
        self.method.after_step(self.student, number)
        self.next_step = number + 1
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        return {**parts, "gradient_norm": norm, "learning_rate": torch.tensor(rate)}

    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        taken, self._at_hand = self._at_hand, {}
        return taken[number] if number in taken else self.batches.batch(number)

    def _validate(self, validate: Validate | None) -> TrainedState:
        """The state as it is now, scored if asked, and kept if it is the best so far."""
        state = self.state(validate)
        if self.best is None or _accuracy(state) > _accuracy(self.best):
            self.best = state
        if state.validation_accuracy is not None:
            self.validations.append((self.next_step, state.validation_accuracy))
        return state

    def _choose_parts(self, number: int) -> None:
        """What does not train in this step needs no gradient, which saves its backward pass."""
        chosen = self.method.training_parts(number, self.schedule)
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(group["part"] in chosen)

    def _backward(self, number: int, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Gradients of the batch's loss; its parts as scalars without gradient.

        Where memory runs out it is done again from the beginning with half the images at once: the
        weights have not been touched yet. Several processes would have to agree on that, so there
        the fault goes out.
        """
        asked = min(self.micro_batch, len(labels))

        def gradients(micro: int) -> dict[str, Tensor]:
            self.optimizer.zero_grad(set_to_none=True)
            return self._gradients(number, images, labels, micro)

        if self.processes.count > 1:
            return gradients(asked)
        micro, parts = in_smaller_parts(lambda micro: (micro, gradients(micro)), asked)
        if micro < asked:
            self.micro_batch = micro
            self._on_halved(number, micro)
        return parts

    def _gradients(
        self, number: int, images: Tensor, labels: Tensor, micro: int
    ) -> dict[str, Tensor]:
        mine = self.processes.share(len(labels))
        alone = self.processes.count == 1
        if self.method.couples_batch and not (alone and micro >= len(labels)):
            parts = self._backward_coupled(number, images, labels, micro)
            shared = []  # each process has computed the whole batch's loss
        else:
            parts = self._accumulate(number, images, labels, mine, micro)
            shared = list(parts.values())
        if not alone:
            for parameter in self._trained:
                if parameter.requires_grad and parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            gradients = [p.grad for p in self._trained if p.grad is not None]
            self.processes.sum([*gradients, *shared])
        return parts

    def _backward_coupled(
        self, number: int, images: Tensor, labels: Tensor, micro: int
    ) -> dict[str, Tensor]:
        step = CachedStep(
            self.surroundings, number, images, labels, part_size=micro, processes=self.processes
        )
        losses = self.method.loss(step)
        step.backward(losses["loss"])
        return {name: value.detach() for name, value in losses.items()}

    def _accumulate(
        self, number: int, images: Tensor, labels: Tensor, mine: slice, micro: int
    ) -> dict[str, Tensor]:
        """Micro-batch by micro-batch, each counting by its share of the batch."""
        batch_size = len(labels)
        totals: dict[str, Tensor] = {}
        random_texts: dict[tuple[int, int], Tensor] = {}
        for start in range(0, len(images), micro):
            part = slice(start, min(start + micro, len(images)))
            step = DirectStep(
                self.surroundings,
                number,
                images[part],
                labels[mine][part],
                offset=mine.start + start,
                batch_size=batch_size,
                random_texts=random_texts,
            )
            losses: Losses = self.method.loss(step)
            share = len(step.labels) / batch_size
            scaled = losses["loss"] if share == 1.0 else losses["loss"] * share
            torch.autograd.backward(scaled)
            for name, value in losses.items():
                term = value.detach() * share
                totals[name] = term if name not in totals else totals[name] + term
        return totals

    def _clip(self, norm: Tensor, limit: float) -> None:
        """Scale gradients whose global norm exceeds the limit; no epsilon, as the official."""
        factor = torch.where(norm < limit, torch.ones_like(norm), limit / norm)
        for parameter in self._trained:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)

    def _reports(self, pending: list[dict[str, Tensor]]) -> list[StepReport]:
        first = self.next_step - len(pending)
        reports = []
        for offset, values in enumerate(pending):
            report = StepReport(first + offset, {k: float(v) for k, v in values.items()})
            if not math.isfinite(report.values["loss"]):
                raise LossNotFinite(report.step, report.values["loss"])
            reports.append(report)
        return reports


def make_schedule(recipe: TrainingHyperparameters) -> Schedule:
    """The recipe's warm-up and cosine."""
    total = int(recipe.n_steps)
    warmup = recipe.warmup_steps
    if warmup is None:
        warmup = math.floor(recipe.warmup_fraction * total)
    return Schedule(float(recipe.learning_rate), total, warmup)


def evaluation_steps(total_steps: int, n_evaluations: int) -> set[int]:
    """After how many steps the validation split is scored: evenly spread, the last included."""
    return {math.ceil(total_steps * (i + 1) / n_evaluations) for i in range(n_evaluations)}


def _accuracy(state: TrainedState) -> float:
    return -1.0 if state.validation_accuracy is None else state.validation_accuracy


def _recipe(method: TrainingMethod) -> TrainingHyperparameters:
    recipe = method.hyperparameters
    unresolved = [k for k, v in recipe.model_dump().items() if v == "auto" and k != "precision"]
    if unresolved:
        raise ValueError(f'hyperparameters still "auto": {", ".join(unresolved)}')
    return recipe
