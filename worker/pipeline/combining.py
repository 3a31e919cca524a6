"""Jobs that train nothing: scoring existing models, and WiSE-FT of a finished one."""

from __future__ import annotations

from dataclasses import replace

from core.errors import InvalidSpec
from core.jobs.spec import ModelReference
from core.learning.combine.wise_ft import interpolate
from core.learning.models import load_directory, load_head, pick_device
from core.learning.states import head_for, put_tensors, tensors_of
from core.learning.trainer import TrainedState
from worker.pipeline.data import load_data
from worker.pipeline.export import Export, export_model, write_results
from worker.pipeline.scoring import open_scoreboard
from worker.pipeline.training import starting_head
from worker.pipeline.workspace import Workspace


def run_evaluation(workspace: Workspace) -> None:
    """Score every input model on every split, each with its own head where it has one."""
    spec = workspace.spec
    data = load_data(workspace)
    # Theta0 first, where it is one of them: the others are held against it.
    inputs = sorted(spec.inputs or [spec.theta0], key=lambda model: model.id != spec.theta0.id)
    board = None
    for reference in inputs:
        directory = workspace.model_directory(reference)
        clip = load_directory(directory).to(pick_device(workspace.settings.device))
        # Pixels depend on the model's own transform; models of one base share them.
        fresh = open_scoreboard(workspace, data, clip, expected=len(inputs))
        if board is None:
            board = fresh
        board.pixels = fresh.pixels
        head = starting_head(clip, data, load_head(directory))
        is_theta0 = reference.id == spec.theta0.id
        features = board.zero_shot_features(clip) if is_theta0 else board.features_with(clip)
        descends = reference.base == spec.theta0.id
        board.score_model(reference.id, spec.seeds[0], features, head, descends=descends)
    assert board is not None
    write_results(workspace, board)


def run_wise_ft(workspace: Workspace) -> None:
    """Interpolate theta0 and one fine-tuned model, score the three, store the middle one."""
    spec = workspace.spec
    data = load_data(workspace)
    fine_tuned = _only_input(workspace)
    theta1_directory = workspace.model_directory(fine_tuned)
    head1 = load_head(theta1_directory)
    if head1 is None or head1.class_keys != data.class_keys:
        raise InvalidSpec(
            f"{fine_tuned.id} was not trained on the classes of this training file",
            code="class_list_differs",
            param="training_file",
        )
    theta0_directory = workspace.model_directory(spec.theta0)
    clip = load_directory(theta0_directory).to(pick_device(workspace.settings.device))
    board = open_scoreboard(workspace, data, clip, expected=2)
    head0 = starting_head(clip, data, load_head(theta0_directory))
    zero_shot = board.zero_shot_features(clip)
    seed = spec.seeds[0]
    board.score_model("zero_shot", seed, zero_shot, head0, phase="zero_shot")

    theta0 = tensors_of(clip, replace(head0, from_text=head1.from_text))
    theta1 = tensors_of(load_directory(theta1_directory), head1)
    towers = board.features_with(clip)
    put_tensors(clip, theta1)
    board.score_model("fine_tuned", seed, towers, head1)
    alpha = float(spec.hyperparameters["alpha"])
    workspace.reporter.within("combining", 0.0)
    mixed = interpolate(theta0, theta1, alpha)
    put_tensors(clip, mixed)
    head = head_for(clip, mixed, head1)
    name = f"wise_ft@{alpha:g}"
    board.score_model(name, seed, towers, head)
    state = TrainedState(step=0, weights={}, head=head)
    export = Export(clip, head, data, board, name, seed, 0, state)
    export_model(workspace, export)
    write_results(workspace, board)


def _only_input(workspace: Workspace) -> ModelReference:
    inputs = workspace.spec.inputs
    if len(inputs) != 1:
        raise InvalidSpec(
            f"wise_ft combines theta0 with one fine-tuned model; the job names {len(inputs)}",
            code="wrong_number_of_inputs",
            param="method.wise_ft.inputs",
        )
    return inputs[0]
