"""Jobs that make something of finished models: loaded, combined, scored and stored.

What is done with the models is the combination's to say (`core.learning.combine`); the rest is
the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch import Tensor

from core.errors import InvalidSpec
from core.jobs.protocol import ZERO_SHOT
from core.jobs.spec import JobSpec, ModelReference
from core.learning.combine.base import Combination, Merged, Mixed
from core.learning.merging import CannotCombine, State, check_calibration
from core.learning.methods import registry
from core.learning.models import Clip, Head, load_directory, load_head, pick_device
from core.learning.states import head_for, put_tensors, tensors_of
from core.learning.student import HEAD
from worker.pipeline.beginnings import starting_head
from worker.pipeline.data import JobData, load_data
from worker.pipeline.domain import training_domain
from worker.pipeline.export import Export, export_mixture, export_model, write_results
from worker.pipeline.material import JobMaterial, StoredCandidate, load_input
from worker.pipeline.mixing import Member, mixed_answers
from worker.pipeline.scoring import Scoreboard, open_scoreboard
from worker.pipeline.workspace import Workspace


def run_combination(workspace: Workspace) -> None:
    """Combine the inputs; where the method takes one, each by itself, a run for each seed.

    Raises InvalidSpec for models that do not go together, saying which and why.
    """
    spec = workspace.spec
    combination = _combination(spec)
    groups = _groups(combination, spec.inputs)
    data = load_data(workspace)
    clip, head0 = _zero_shot(workspace, data)
    state0 = tensors_of(clip, replace(head0, from_text=True))
    # For each run a row of the input and one of the result; a curve's rows are added to these.
    board = open_scoreboard(workspace, data, clip, expected=2 * len(groups))
    zero_shot = board.zero_shot_features(clip)
    board.score_model(ZERO_SHOT, spec.seeds[0], zero_shot, head0, phase="zero_shot")
    for number, (seed, references) in enumerate(zip(spec.seeds, groups, strict=True)):
        inputs = [load_input(workspace, reference, head0) for reference in references]
        theta0 = StoredCandidate(
            spec.theta0.id, _like(inputs[0], state0, head0), head0, spec.theta0
        )
        material = JobMaterial(workspace, data, board, clip, theta0, inputs, seed, number)
        run = _Run(workspace, data, board, clip, material, seed, number)
        with _explaining(combination, inputs):
            if len(inputs) == 1:
                features_of = material.features_of(inputs[0])
                board.score_model("fine_tuned", seed, features_of, inputs[0].head)
            made = _combine(combination, material)
        material.progress(1.0)
        if isinstance(made, Merged):
            name = made.name or combination.name
            _keep_merged(run, made, name)
        else:
            name = combination.name
            _keep_mixed(run, made, name)
    write_results(workspace, board, name)


@dataclass(frozen=True)
class _Run:
    """What the scoring and storing of one result needs."""

    workspace: Workspace
    data: JobData
    board: Scoreboard
    clip: Clip
    material: JobMaterial
    seed: int
    number: int

    def export(self, head: Head, row_name: str, made: Merged | Mixed) -> Export:
        """The result on its way out; splits that came later are among its classes' subsets."""
        found = {s.name: s.subset for s in self.data.scored if s.subset is not None}
        head = replace(head, class_subsets={**head.class_subsets, **found})
        names = [model.name for model in self.material.inputs]
        return Export(
            self.clip,
            head,
            self.data,
            self.board,
            row_name,
            self.seed,
            self.number,
            inputs=names,
            metrics=made.metrics,
        )


def _combination(spec: JobSpec) -> Combination:
    method = registry()[spec.method]
    if not issubclass(method, Combination):
        raise TypeError(f"{spec.method} does not combine")
    return method(spec.hyperparameters)


def _groups(
    combination: Combination, references: list[ModelReference]
) -> list[list[ModelReference]]:
    """What is combined with what."""
    if combination.n_inputs == (1, 1):
        return [[reference] for reference in references]
    return [references]


def _zero_shot(workspace: Workspace, data: JobData) -> tuple[Clip, Head]:
    directory = workspace.model_directory(workspace.spec.theta0)
    clip = load_directory(directory).to(pick_device(workspace.settings.device))
    head = starting_head(clip, data, load_head(directory))
    return clip, replace(head, weight=head.weight.cpu())


def _like(model: StoredCandidate, state0: dict[str, Tensor], head0: Head) -> State:
    """Theta0's tensors under the same names: a head only where the model's trained by itself."""
    return state0 if model.head.from_text else {**state0, HEAD: head0.weight}


def _combine(combination: Combination, material: JobMaterial) -> Merged | Mixed:
    if combination.output == "weights":
        check_calibration({model.name: model.head for model in material.inputs})
    return combination.combine(material)


def _keep_merged(run: _Run, made: Merged, name: str) -> None:
    """Score the states beside the result, one in memory at a time, then the result; store it."""
    board, clip, like = run.board, run.clip, run.material.inputs[0].head
    board.expected += len(made.scored_beside)
    towers = board.features_with(clip)
    for beside, make in made.scored_beside.items():
        state = make()
        put_tensors(clip, state)
        board.score_model(beside, run.seed, towers, head_for(clip, state, like))
    put_tensors(clip, made.state)
    head = made.head or head_for(clip, made.state, like)
    domain = training_domain(board, clip, head)
    board.score_model(name, run.seed, towers, head, domain=domain)
    export_model(run.workspace, replace(run.export(head, name, made), domain=domain))


def _keep_mixed(run: _Run, made: Mixed, name: str) -> None:
    members = {each.name: each for each in (run.material.theta0, *run.material.inputs)}
    stored = {folder: members[made.members[folder].name] for folder in made.mixture.members}
    answering = [Member(run.material.features_of(m), m.head) for m in stored.values()]
    run.board.score_answers(name, run.seed, mixed_answers(made.mixture, answering))
    head = run.material.theta0.head
    export_mixture(run.workspace, run.export(head, name, made), made.mixture, stored)


@contextmanager
def _explaining(combination: Combination, inputs: list[StoredCandidate]) -> Iterator[None]:
    """Models that do not go together are the request's fault."""
    try:
        yield
    except CannotCombine as fault:
        raise InvalidSpec(
            f"{combination.name} cannot combine {', '.join(model.name for model in inputs)}: "
            f"{fault}.",
            code="cannot_combine",
            param=f"method.{combination.name}.inputs",
        ) from fault
