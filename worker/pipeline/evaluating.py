"""Jobs that only score: existing models, mixtures among them, on splits that came later."""

from __future__ import annotations

from pathlib import Path

from core.jobs.spec import ModelReference
from core.learning.mixtures import load_mixture
from core.learning.models import Clip, load_directory, load_head, pick_device
from core.learning.statistics import TrainingDomain
from worker.pipeline.beginnings import starting_head
from worker.pipeline.data import JobData, load_data
from worker.pipeline.export import write_results
from worker.pipeline.mixing import Member, mixed_answers
from worker.pipeline.scoring import Scoreboard, open_scoreboard
from worker.pipeline.workspace import Workspace


def run_evaluation(workspace: Workspace) -> None:
    """Score every input model on every split, each with its own head where it has one."""
    spec = workspace.spec
    data = load_data(workspace)
    # Theta0 first, where it is one of them: the others are held against it.
    inputs = sorted(spec.inputs or [spec.theta0], key=lambda model: model.id != spec.theta0.id)
    board: Scoreboard | None = None
    for reference in inputs:
        directory = workspace.model_directory(reference)
        mixture = load_mixture(directory)
        folders = [directory / name for name in mixture.members] if mixture else [directory]
        clips = [_load(workspace, folder) for folder in folders]
        # Pixels depend on the model's own transform; models of one base share them.
        fresh = open_scoreboard(workspace, data, clips[0], expected=len(inputs))
        if board is None:
            board = fresh
        board.pixels = fresh.pixels
        if mixture is None:
            _score(board, data, clips[0], directory, reference)
        else:
            members = [
                _member(board, data, clip, folder)
                for clip, folder in zip(clips, folders, strict=True)
            ]
            board.score_answers(reference.id, spec.seeds[0], mixed_answers(mixture, members))
    assert board is not None
    write_results(workspace, board)


def _score(
    board: Scoreboard, data: JobData, clip: Clip, directory: Path, reference: ModelReference
) -> None:
    spec = board.workspace.spec
    own = load_head(directory)
    head = starting_head(clip, data, own)
    is_theta0 = reference.id == spec.theta0.id
    features = board.zero_shot_features(clip) if is_theta0 else board.features_with(clip)
    descends = reference.base == spec.theta0.id
    domain = TrainingDomain.load(directory) if head is own else None  # energies are of its head
    board.score_model(reference.id, spec.seeds[0], features, head, descends=descends, domain=domain)


def _load(workspace: Workspace, directory: Path) -> Clip:
    return load_directory(directory).to(pick_device(workspace.settings.device))


def _member(board: Scoreboard, data: JobData, clip: Clip, directory: Path) -> Member:
    return Member(board.features_with(clip), starting_head(clip, data, load_head(directory)))
