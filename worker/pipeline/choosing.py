"""A job of `auto`: several models trained, each mixed with zero-shot, one mixture kept by what the
ID validation images say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from core.jobs.messages import StoredModel
from core.jobs.spec import ModelReference
from core.learning.combine.soup import uniform
from core.learning.evaluation import head_logits, mask_columns
from core.learning.gated import Point, Seen, gated, points_of
from core.learning.merging import State
from core.learning.methods.auto import Auto
from core.learning.mixtures import VrfMixture
from core.learning.models import Head
from core.learning.states import head_for, put_tensors
from core.learning.trainer import TrainedState
from worker.pipeline.checkpoints import Checkpoints
from worker.pipeline.data import Split, evaluation_pixels
from worker.pipeline.export import (
    Export,
    accuracy_name,
    export_checkpoint,
    export_mixture,
    write_results,
)
from worker.pipeline.material import StoredCandidate
from worker.pipeline.mixing import Member, mixed_answers
from worker.pipeline.plan import PlannedRun, planned_runs
from worker.pipeline.runs import Runs
from worker.pipeline.step_metrics import MetricsLog
from worker.pipeline.workspace import Workspace


def run_choice(workspace: Workspace) -> None:
    """For every seed of the job train, choose, score and store.

    Raises what `worker.pipeline.training.run_training` does.
    """
    spec = workspace.spec
    method = Auto(spec.hyperparameters)
    planned = planned_runs(spec)
    runs = Runs.open(workspace)
    runs.board.expected += len(spec.seeds)  # a mixture beside each fine-tuned model and its line
    log = MetricsLog(workspace, planned, runs.clip.device)
    with Checkpoints(workspace) as checkpoints, runs.companions:
        for number in range(len(spec.seeds)):
            members = [run for run in planned if run.seed_number == number]
            trained = [(run, runs.train(run, checkpoints, log.of(run)).best) for run in members]
            _keep(runs, _choose(runs, method, trained))
    log.write()
    write_results(workspace, runs.board, Auto.name)


@dataclass(frozen=True, eq=False)
class _End:
    """A trained model, or the mean of several, that zero-shot may be mixed with."""

    state: State
    head: Head
    step: int  # of all of the seed's runs together


@dataclass(frozen=True, eq=False)
class _Choice:
    """The mixture that is kept of a seed's, and its fine-tuned member."""

    run: PlannedRun  # the seed's first
    before: State  # theta0's tensors under the end's names
    end: _End
    mixture: VrfMixture
    point: Point


def _choose(runs: Runs, method: Auto, trained: list[tuple[PlannedRun, TrainedState]]) -> _Choice:
    """Every end with every ceiling, by the splits that choose."""
    run = trained[0][0]
    before, ends = _ends(runs, trained)
    zero_shot = _zero_shot_logits(runs)
    points: list[Point] = []
    mixtures: dict[str, VrfMixture] = {}
    for name, end in ends.items():
        put_tensors(runs.clip, end.state)
        seen = _seen(runs, end.head, zero_shot)
        mixtures[name] = gated(seen["train"], seen["val"])
        selecting = [seen[split.name] for split in _validation_first(runs)]
        points += points_of(name, mixtures[name], selecting)
    point = method.choose(points)
    mixture = replace(mixtures[point.end], ceiling=point.ceiling)
    _announce(runs, points, point, mixture, run.seed)
    return _Choice(run, before, ends[point.end], mixture, point)


def _ends(
    runs: Runs, trained: list[tuple[PlannedRun, TrainedState]]
) -> tuple[State, dict[str, _End]]:
    """Theta0's tensors, and each member's end and their mean by the names that points have."""
    lines = [runs.ends_of_the_line(state) for _, state in trained]
    before = lines[0][0]
    ends = {
        f"member {place}": _End(after, state.head, run.steps_before + state.step)
        for place, ((run, state), (_, after)) in enumerate(zip(trained, lines, strict=True), 1)
    }
    if len(ends) > 1:
        mean = uniform([after for _, after in lines])
        last, state = trained[-1]
        put_tensors(runs.clip, mean)
        head = head_for(runs.clip, mean, state.head)
        n_steps = last.steps_before + int(last.method.hyperparameters.n_steps)
        ends["mean"] = _End(mean, head, n_steps)
    return before, ends


def _zero_shot_logits(runs: Runs) -> dict[str, Tensor]:
    """Theta0's logits of the images that the choice is made by."""
    train = _training_split(runs)
    pixels = evaluation_pixels(runs.workspace, train, runs.clip.preprocess_config)
    runs.board.pixels[train.name] = pixels
    put_tensors(runs.clip, runs.theta0)
    return {
        split.name: _logits(runs.zero_shot(split), runs.head0, split)
        for split in [train, *runs.data.selecting]
    }


def _seen(runs: Runs, head: Head, zero_shot: Mapping[str, Tensor]) -> dict[str, Seen]:
    """What the model, which holds an end's weights, and theta0 say of these images."""
    towers = runs.board.features_with(runs.clip)
    found = {}
    for split in [_training_split(runs), *runs.data.selecting]:
        features_ND = towers(split)
        logits_NK = _logits(features_ND, head, split)
        labels_N = torch.from_numpy(runs.board.pixels[split.name].labels)
        found[split.name] = Seen(features_ND, logits_NK, zero_shot[split.name], labels_N)
    return found


def _logits(features_ND: Tensor, head: Head, split: Split) -> Tensor:
    """(N, K) float64, as mixtures are answered with."""
    logits_NK = head_logits(features_ND, head.weight, head.scale)
    return mask_columns(logits_NK, split.subset).double()


def _validation_first(runs: Runs) -> list[Split]:
    return sorted(runs.data.selecting, key=lambda split: split.name != "val")


def _training_split(runs: Runs) -> Split:
    assert runs.data.train is not None  # a training job was refused without one
    return runs.data.train


def _keep(runs: Runs, choice: _Choice) -> None:
    """Score the end and its line to zero-shot, then the mixture; store the end, which is a model
    like any other, and the mixture."""
    end, run, workspace = choice.end, choice.run, runs.workspace
    domain = runs.score_line(choice.before, end.state, end.head, run.seed)
    members = (
        Member(runs.zero_shot, runs.head0),
        Member(runs.board.features_with(runs.clip), end.head),
    )
    runs.board.score_answers(Auto.name, run.seed, mixed_answers(choice.mixture, members))
    workspace.reporter.within("exporting", run.seed_number / len(workspace.spec.seeds))
    accuracy = runs.selection_accuracy(end.head)
    state = TrainedState(end.step, {}, end.head, accuracy)
    of_end = Export(
        runs.clip,
        end.head,
        runs.data,
        runs.board,
        "fine_tuned",
        run.seed,
        run.seed_number,
        state,
        domain,
    )
    stored = export_checkpoint(workspace, of_end)
    export = replace(
        of_end,
        head=replace(runs.head0, weight=runs.head0.weight.cpu()),
        row_name=Auto.name,
        state=None,
        inputs=[stored.id],
        metrics=_metrics(runs, choice),
    )
    folders = {
        "zero_shot": StoredCandidate(
            workspace.spec.theta0.id, {}, export.head, workspace.spec.theta0
        ),
        "fine_tuned": StoredCandidate(stored.id, {}, end.head, _reference(stored)),
    }
    export_mixture(workspace, export, choice.mixture, folders)


def _metrics(runs: Runs, choice: _Choice) -> dict[str, float]:
    return {
        accuracy_name(runs.data): choice.point.accuracy,
        "bank": len(choice.mixture.bank_VD),
        **choice.mixture.constants(),
        "ceiling": choice.point.ceiling,
    }


def _reference(model: StoredModel) -> ModelReference:
    return ModelReference(
        id=model.id, object_key=model.object_key, sha256=model.sha256, size=model.size
    )


def _announce(
    runs: Runs, points: list[Point], chosen: Point, mixture: VrfMixture, seed: int
) -> None:
    best = max(points, key=lambda point: point.accuracy)
    where = " and ".join(split.name for split in runs.data.selecting)
    runs.workspace.reporter.event(
        f"seed {seed}: {chosen.end} is kept, its weight up to {chosen.ceiling:g}: "
        f"{100 * chosen.accuracy:.2f} % on {where}; the best of {len(points)} points has "
        f"{100 * best.accuracy:.2f} % ({best.end}, {best.ceiling:g}). The bank has "
        f"{len(mixture.bank_VD)} training images; beyond a squared distance of {mixture.a:.3g} "
        "zero-shot weighs more",
        seed=seed,
        chosen=asdict(chosen),
        points=[asdict(point) for point in points],
    )
