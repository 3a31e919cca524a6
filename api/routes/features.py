"""Where texts and images lie: Hugging Face's feature extraction, and both towers at once."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.asked_models import asked_model, members, no_features, stored_weights
from api.auth import Authenticated, Principal, needs
from api.bodies import described
from api.errors import documented
from api.predictions import embed
from api.schemas.features import EmbeddingRequest, Embeddings, FeatureRequest
from api.services import InServices, Services
from api.task_input import TaskBody, check_images, decode_image, read_task_body
from core.errors import InvalidRequest
from core.leaving import unless_it_leaves
from core.prediction import Embedding, Vectors
from core.records.tables import Model

router = APIRouter(prefix="/models/{model_id}", tags=["inference"])

Features = list[float] | list[list[float]]

_ANSWERS = documented(413, 507)


@router.post(
    "/feature-extraction",
    dependencies=[needs("models:infer")],
    openapi_extra=described(FeatureRequest),
    responses=_ANSWERS,
)
async def feature_extraction(
    model_id: str, request: Request, principal: Authenticated, services: InServices
) -> Features:
    """The text tower's features, of unit length: one vector for one text, a list for a list."""
    body = await read_task_body(request, services.settings)
    asking = extract(services, principal, model_id, body)
    return await unless_it_leaves(request.receive, asking)


@router.post(
    "/embeddings",
    dependencies=[needs("models:infer")],
    openapi_extra=described(EmbeddingRequest),
    responses=_ANSWERS,
)
async def create_embeddings(
    model_id: str, request: Request, principal: Authenticated, services: InServices
) -> Embeddings:
    """Texts and images in the space they share."""
    body = await read_task_body(request, services.settings)
    asked = body.parse(EmbeddingRequest)
    images = [decode_image(text, f"images.{place}") for place, text in enumerate(asked.images)]
    if images:
        check_images(images, services.settings)
    if not images and not asked.texts:
        raise InvalidRequest(
            "There is nothing to embed: texts and images are both empty; send at least one.",
            code="missing_field",
            param="texts",
        )
    model = await asked_model(services, principal, model_id)
    asking = _embed(services, model, asked.texts, images)
    found = await unless_it_leaves(request.receive, asking)
    vectors = found.texts or found.images
    return Embeddings(
        model=model.id, dimensions=len(vectors[0]), texts=found.texts, images=found.images
    )


async def extract(
    services: Services, principal: Principal, model_id: str, body: TaskBody
) -> Features:
    """Features of a body's text or texts. Raises InvalidRequest, NotFound and Unavailable."""
    asked = body.parse(FeatureRequest)
    is_one = isinstance(asked.inputs, str)
    texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
    model = await asked_model(services, principal, model_id)
    found = await _embed(services, model, texts, [])
    return found.texts[0] if is_one else found.texts


async def _embed(
    services: Services, model: Model, texts: list[str], images: list[bytes]
) -> Vectors:
    if members(model):
        raise no_features(model)
    embedding = Embedding(
        model=stored_weights(services, model),
        texts=texts,
        image_sizes=[len(image) for image in images],
    )
    return await embed(services.inference, embedding, images)
