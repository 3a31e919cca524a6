"""Zero-shot beside fine-tuned: what several models say of the same images, in one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.asked_models import asked_model, members, own_classes_only, stored_weights
from api.auth import Authenticated, needs
from api.bodies import described
from api.errors import documented
from api.predictions import compare
from api.routes.inference import HEAD_FILE, or_image
from api.schemas.classification import (
    MAX_MODELS,
    Classification,
    ClassificationParameters,
    ClassificationRequest,
    ImageAnswers,
    ModelAnswer,
    ShiftFlag,
)
from api.services import InServices, Services
from api.task_input import (
    TaskBody,
    check_image,
    check_images,
    check_texts,
    decode_image,
    read_task_body,
    templates_of,
)
from core.errors import InvalidRequest
from core.leaving import unless_it_leaves
from core.prediction import Answer, Compared, Comparison
from core.records.tables import Model
from core.settings import Settings
from core.validation import shown

router = APIRouter(tags=["inference"])

Models = Annotated[
    list[str] | None,
    Query(alias="model", description="Where the body is an image: a model's id, once for each."),
]


@dataclass(frozen=True)
class _Asked:
    """What is asked of which models about which images."""

    models: list[str]
    parameters: ClassificationParameters
    images: list[bytes]


@router.post(
    "/classify",
    dependencies=[needs("models:infer")],
    openapi_extra=or_image(described(ClassificationRequest)),
    responses=documented(413, 507),
)
async def classify(
    request: Request, principal: Authenticated, services: InServices, model: Models = None
) -> Classification:
    """What one or more models say of one image or many, decoded once: probabilities, calibrated
    confidence, whether the label changed, and whether the image looks unlike the training domain.
    """
    body = await read_task_body(request, services.settings)
    asked = _read(body, model, services.settings)
    rows = [await asked_model(services, principal, name, "models") for name in asked.models]
    _check_classes(rows, asked.parameters)
    comparison = Comparison(
        models=[_compared(services, row) for row in rows],
        labels=asked.parameters.candidate_labels,
        templates=templates_of(asked.parameters),
        top_k=asked.parameters.top_k,
        image_sizes=[len(image) for image in asked.images],
    )
    rate = asked.parameters.false_alarm_rate
    asking = compare(services.inference, comparison, asked.images)
    found = await unless_it_leaves(request.receive, asking)
    return Classification(
        false_alarm_rate=rate, images=[_side_by_side(rows, answers, rate) for answers in found]
    )


def _read(body: TaskBody, models: list[str] | None, settings: Settings) -> _Asked:
    """The request's parts. An image as the body has its models in the address.

    Raises InvalidRequest and TooLarge.
    """
    if not body.is_json:
        check_image(body.content, settings)
        _check_models(models or [], "model")
        return _Asked(models or [], ClassificationParameters(), [body.content])
    if models:
        raise InvalidRequest(
            "Models are named in the address, and the body is JSON; name them in its models.",
            code="models_in_two_places",
            param="model",
        )
    asked = body.parse(ClassificationRequest)
    _check_models(asked.models, "models")
    if isinstance(asked.inputs, str):
        images = [decode_image(asked.inputs, "inputs")]
    else:
        images = [decode_image(text, f"inputs.{n}") for n, text in enumerate(asked.inputs)]
    check_images(images, settings)
    check_texts(asked.parameters, settings)
    return _Asked(asked.models, asked.parameters, images)


def _check_models(models: list[str], param: str) -> None:
    if not 1 <= len(models) <= MAX_MODELS:
        raise InvalidRequest(
            f"{param} names {len(models)} models; name 1 to {MAX_MODELS}, as "
            f"{'?model=ID&model=ID' if param == 'model' else 'a list of ids'}.",
            code="wrong_number_of_models",
            param=param,
        )
    repeated = next((model for model in models if models.count(model) > 1), None)
    if repeated is not None:
        raise InvalidRequest(
            f"{param} names {shown(repeated)} twice; name it once.",
            code="repeated_model",
            param=param,
        )


def _check_classes(rows: list[Model], parameters: ClassificationParameters) -> None:
    """Somebody must say what the classes are."""
    if parameters.candidate_labels is None:
        if not any(members(row) or HEAD_FILE in row.members for row in rows):
            raise InvalidRequest(
                f"None of {', '.join(row.id for row in rows)} has classes of its own; name a "
                "fine-tuned model as well, or pass parameters.candidate_labels.",
                code="no_head",
                param="models",
            )
        return
    for row in rows:
        if members(row):
            raise own_classes_only(row)


def _compared(services: Services, row: Model) -> Compared:
    return Compared(**stored_weights(services, row).model_dump(), theta0=row.info.get("base"))


def _side_by_side(rows: list[Model], answers: list[Answer], rate: float) -> ImageAnswers:
    found = [_answer(row, answer, rate) for row, answer in zip(rows, answers, strict=True)]
    flags = [answer.shift.shifted for answer in found if answer.shift is not None]
    return ImageAnswers(
        answers=found,
        label_changed=len({answer.label for answer in found}) > 1,
        shifted=any(flags) if flags else None,
    )


def _answer(row: Model, answer: Answer, rate: float) -> ModelAnswer:
    best, shift = answer.scores[0], answer.shift
    ids = row.info.get("mixture") or {}
    return ModelAnswer(
        model=row.id,
        label=best.label,
        score=best.score,
        confidence=answer.confidence,
        scores=answer.scores,
        member_weights=answer.weights
        and {ids.get(folder, folder): weight for folder, weight in answer.weights.items()},
        shift=shift and ShiftFlag(shifted=shift.p <= rate, **shift.model_dump()),
    )
