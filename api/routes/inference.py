"""Hugging Face's image classification tasks on any model, and a model's own address.

The caller and the model's row are checked here; the work is done by the inference process.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from api.asked_models import asked_model, members, own_classes_only, stored_weights
from api.auth import Authenticated, Principal, needs
from api.bodies import described
from api.dispatch import Task, task_of
from api.errors import documented
from api.predictions import predict
from api.routes import features
from api.schemas.features import FeatureRequest
from api.schemas.inference import TaskRequest, ZeroShotRequest
from api.services import InServices, Services
from api.task_input import TaskBody, TaskInput, read_task_body, task_input
from core.datasets.image_kinds import FORMATS
from core.errors import InvalidRequest
from core.leaving import unless_it_leaves
from core.prediction import Prediction, Score
from core.records.tables import Model

router = APIRouter(prefix="/models/{model_id}", tags=["inference"])

HEAD_FILE = "head.safetensors"  # as `core.learning.models` has it, which imports torch

_IMAGE = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
_ANSWERS = documented(413, 507)

Labels = list[Score] | list[list[Score]]


def or_image(extra: dict[str, Any]) -> dict[str, Any]:
    """The description of a JSON body, which may be an image instead."""
    kinds = {f"image/{kind.lower()}": _IMAGE for kind in FORMATS}
    extra["requestBody"]["content"] |= kinds  # as documented; what it is, is seen in its bytes
    return extra


@router.post(
    "",
    dependencies=[needs("models:infer")],
    openapi_extra=or_image(described(TaskRequest, FeatureRequest)),
    responses=_ANSWERS,
)
async def ask_model(
    model_id: str, request: Request, principal: Authenticated, services: InServices
) -> Labels | features.Features:
    """The task is seen in the body. Candidate labels: zero-shot classification; an image, raw or
    in base64: classification; text: features.
    """
    body = await read_task_body(request, services.settings)
    task = task_of(body)
    if task == "feature-extraction":
        asking = features.extract(services, principal, model_id, body)
        return await unless_it_leaves(request.receive, asking)
    return await _classify(request, services, principal, model_id, body, task)


@router.post(
    "/zero-shot-image-classification",
    dependencies=[needs("models:infer")],
    openapi_extra=described(ZeroShotRequest),
    responses=_ANSWERS,
)
async def zero_shot_image_classification(
    model_id: str, request: Request, principal: Authenticated, services: InServices
) -> Labels:
    """Scores of candidate labels, best first. On a fine-tuned model: its tower, your labels."""
    body = await read_task_body(request, services.settings)
    task: Task = "zero-shot-image-classification"
    return await _classify(request, services, principal, model_id, body, task)


@router.post(
    "/image-classification",
    dependencies=[needs("models:infer")],
    openapi_extra=or_image(described(TaskRequest)),
    responses=_ANSWERS,
)
async def image_classification(
    model_id: str, request: Request, principal: Authenticated, services: InServices
) -> Labels:
    """Scores of the classes a model was trained on, best first. A mixture's are probabilities."""
    body = await read_task_body(request, services.settings)
    return await _classify(request, services, principal, model_id, body, "image-classification")


async def _classify(
    request: Request,
    services: Services,
    principal: Principal,
    model_id: str,
    body: TaskBody,
    task: Task,
) -> Labels:
    model = await asked_model(services, principal, model_id)
    asked = task_input(body, services.settings)
    if task == "image-classification":
        _check_own_classes(model, asked)
    else:
        _check_candidates(model, asked)
    return await unless_it_leaves(request.receive, _answer(services, model, asked))


def _check_candidates(model: Model, task: TaskInput) -> None:
    if members(model):
        raise own_classes_only(model)
    if task.parameters.candidate_labels is None:
        raise InvalidRequest(
            "parameters.candidate_labels is missing; send JSON with inputs (base64) and at least "
            "two labels.",
            code="missing_field",
            param="parameters.candidate_labels",
        )


def _check_own_classes(model: Model, task: TaskInput) -> None:
    if members(model):
        _check_mixture(model, task)
    elif task.parameters.candidate_labels is None and HEAD_FILE not in model.members:
        raise InvalidRequest(
            f"{model.id} has no trained head, so it has no classes of its own. Pass "
            "parameters.candidate_labels, or use "
            f"POST /v1/models/{model.id}/zero-shot-image-classification.",
            code="no_head",
            param="model_id",
        )


def _check_mixture(model: Model, task: TaskInput) -> None:
    if task.parameters.candidate_labels is not None:
        raise own_classes_only(model)
    function = task.parameters.function_to_apply
    if function not in (None, "softmax"):
        raise InvalidRequest(
            f"function_to_apply is {function!r}, and {model.id} is a mixture, whose answers are "
            "probabilities that come from no logits; leave function_to_apply out.",
            code="mixture_has_no_logits",
            param="parameters.function_to_apply",
        )


async def _answer(services: Services, model: Model, task: TaskInput) -> Labels:
    parameters = task.parameters
    prediction = Prediction(
        model=stored_weights(services, model),
        labels=parameters.candidate_labels,
        templates=task.templates,
        function=parameters.function_to_apply or "softmax",
        top_k=parameters.top_k,
        image_sizes=[len(image) for image in task.images],
    )
    scores = await predict(services.inference, prediction, task.images)
    return scores if task.is_batch else scores[0]
