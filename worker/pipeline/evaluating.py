"""Jobs that only score: existing models, mixtures among them, on splits that came later."""

from __future__ import annotations

from pathlib import Path

from core.learning.mixtures import load_mixture
from core.learning.models import Clip, load_directory, load_head, pick_device
from worker.pipeline.data import JobData, load_data
from worker.pipeline.export import write_results
from worker.pipeline.mixing import Member, mixed_answers
from worker.pipeline.scoring import Scoreboard, open_scoreboard
from worker.pipeline.training import starting_head
from worker.pipeline.workspace import Workspace


def run_evaluation(workspace: Workspace) -> None:
    """Score every input model on every split, each with its own head where it has one."""
    spec = workspace.spec
    data = load_data(workspace)
    inputs = spec.inputs or [spec.theta0]
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
            head = starting_head(clips[0], data, load_head(directory))
            board.score_model(reference.id, spec.seeds[0], board.features_with(clips[0]), head)
        else:
            members = [
                _member(board, data, clip, folder)
                for clip, folder in zip(clips, folders, strict=True)
            ]
            board.score_answers(reference.id, spec.seeds[0], mixed_answers(mixture, members))
    assert board is not None
    write_results(workspace, board)


def _load(workspace: Workspace, directory: Path) -> Clip:
    return load_directory(directory).to(pick_device(workspace.settings.device))


def _member(board: Scoreboard, data: JobData, clip: Clip, directory: Path) -> Member:
    return Member(board.features_with(clip), starting_head(clip, data, load_head(directory)))
