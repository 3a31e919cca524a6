"""The model a request asks, and what may be asked of it."""

from __future__ import annotations

from api.auth import Principal
from api.services import Services
from core.errors import InvalidRequest
from core.prediction import StoredWeights
from core.records import models
from core.records.tables import Model


async def asked_model(
    services: Services, principal: Principal, name: str, param: str = "model_id"
) -> Model:
    """The project's model, or a base, by its id or an alias. Raises NotFound."""

    def read() -> Model:
        with services.database.read() as session:
            return models.get(session, principal.project_id, name, param=param)

    return await services.models.get((principal.project_id, name), read)


def members(model: Model) -> list[str]:
    """Ids of the models that answer together, where it is a mixture."""
    return list((model.info.get("mixture") or {}).values())


def stored_weights(services: Services, model: Model) -> StoredWeights:
    """Where the inference process finds it."""
    return StoredWeights(
        model_id=model.id,
        object_key=model.object_key,
        sha256=model.sha256,
        pinned=model.id in services.settings.serving_pinned_models,
    )


def own_classes_only(model: Model) -> InvalidRequest:
    """The refusal of a mixture to answer for anything but the classes it was fitted to."""
    answering = members(model)
    return InvalidRequest(
        f"{model.id} is a mixture of {len(answering)} models, fitted to the classes they were "
        f"trained on; it answers POST /v1/models/{model.id}/image-classification for these. For "
        f"labels of your own ask one of its members: {', '.join(answering)}.",
        code="mixture_has_own_classes",
        param="parameters.candidate_labels",
    )


def no_features(model: Model) -> InvalidRequest:
    """The refusal of a mixture to say where anything lies: each member has a space of its own."""
    answering = members(model)
    return InvalidRequest(
        f"{model.id} is a mixture of {len(answering)} models, each with features of its own; ask "
        f"one of them: {', '.join(answering)}.",
        code="mixture_has_no_features",
        param="model_id",
    )
