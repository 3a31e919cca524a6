"""Hugging Face's image classification tasks on any model.

The caller and the model's row are checked here; the work is done by the inference process.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api.auth import Authenticated, Principal, needs
from api.bodies import described
from api.errors import documented
from api.predictions import predict
from api.schemas.inference import TaskRequest
from api.services import InServices, Services
from api.task_input import TaskInput, read_task_input
from core.errors import InvalidRequest
from core.prediction import Prediction, Score
from core.records import models
from core.records.tables import Model

router = APIRouter(prefix="/models/{model_id}", tags=["inference"])

HEAD_FILE = "head.safetensors"  # as `core.learning.models` has it, which imports torch

_JSON_OR_IMAGE = described(TaskRequest)
_JSON_OR_IMAGE["requestBody"]["content"]["image/*"] = {
    "schema": {"type": "string", "format": "binary"}
}
_ANSWERS = documented(413, 507)

Labels = list[Score] | list[list[Score]]


@router.post(
    "/zero-shot-image-classification",
    dependencies=[needs("models:infer")],
    openapi_extra=described(TaskRequest),
    responses=_ANSWERS,
)
async def zero_shot_image_classification(
    model_id: str, request: Request, principal: Authenticated, services: InServices
) -> Labels:
    """Scores of candidate labels, best first. On a fine-tuned model: its tower, your labels."""
    model = await run_in_threadpool(_get, services, principal, model_id)
    task = await read_task_input(request, services.settings)
    if _members(model):
        raise _own_classes_only(model)
    if task.parameters.candidate_labels is None:
        raise InvalidRequest(
            "parameters.candidate_labels is missing; send JSON with inputs (base64) and at least "
            "two labels.",
            code="missing_field",
            param="parameters.candidate_labels",
        )
    return await _answer(services, model, task)


@router.post(
    "/image-classification",
    dependencies=[needs("models:infer")],
    openapi_extra=_JSON_OR_IMAGE,
    responses=_ANSWERS,
)
async def image_classification(
    model_id: str, request: Request, principal: Authenticated, services: InServices
) -> Labels:
    """Scores of the classes a model was trained on, best first. A mixture's are probabilities."""
    model = await run_in_threadpool(_get, services, principal, model_id)
    task = await read_task_input(request, services.settings)
    if _members(model):
        _check_mixture(model, task)
    elif task.parameters.candidate_labels is None and HEAD_FILE not in model.members:
        raise InvalidRequest(
            f"{model.id} has no trained head, so it has no classes of its own. Pass "
            "parameters.candidate_labels, or use "
            f"POST /v1/models/{model.id}/zero-shot-image-classification.",
            code="no_head",
            param="model_id",
        )
    return await _answer(services, model, task)


def _get(services: Services, principal: Principal, model_id: str) -> Model:
    with services.database.read() as session:
        return models.get(session, principal.project_id, model_id, param="model_id")


def _members(model: Model) -> list[str]:
    """Ids of the models that answer together, where it is a mixture."""
    return list((model.info.get("mixture") or {}).values())


def _check_mixture(model: Model, task: TaskInput) -> None:
    if task.parameters.candidate_labels is not None:
        raise _own_classes_only(model)
    function = task.parameters.function_to_apply
    if function not in (None, "softmax"):
        raise InvalidRequest(
            f"function_to_apply is {function!r}, and {model.id} is a mixture, whose answers are "
            "probabilities that come from no logits; leave function_to_apply out.",
            code="mixture_has_no_logits",
            param="parameters.function_to_apply",
        )


def _own_classes_only(model: Model) -> InvalidRequest:
    members = _members(model)
    return InvalidRequest(
        f"{model.id} is a mixture of {len(members)} models, fitted to the classes they were "
        f"trained on; it answers POST /v1/models/{model.id}/image-classification for these. For "
        f"labels of your own ask one of its members: {', '.join(members)}.",
        code="mixture_has_own_classes",
        param="parameters.candidate_labels",
    )


async def _answer(services: Services, model: Model, task: TaskInput) -> Labels:
    parameters = task.parameters
    prediction = Prediction(
        model_id=model.id,
        object_key=model.object_key,
        sha256=model.sha256,
        labels=parameters.candidate_labels,
        templates=task.templates,
        function=parameters.function_to_apply or "softmax",
        top_k=parameters.top_k,
        image_sizes=[len(image) for image in task.images],
    )
    scores = await predict(services.inference, prediction, task.images)
    return scores if task.is_batch else scores[0]
