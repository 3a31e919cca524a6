"""Models: bases, and what jobs made of them; their weights whole and file by file."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from api.asked_models import stored_weights
from api.auth import Authenticated, Principal, needs
from api.downloads import Stored, documented_download, download
from api.errors import documented
from api.predictions import ServedExports, export, forget
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.schemas.models import ModelDeleted, ModelObject, model_object
from api.services import InServices, Services
from core.errors import NotFound
from core.learning.formats.names import Format
from core.leaving import unless_it_leaves
from core.records import audit, models
from core.records.pages import MAX_LIMIT
from core.records.tables import Model
from core.validation import shown

router = APIRouter(prefix="/models", tags=["models"])

TAR = "application/x-tar"

WantedFormat = Annotated[Literal["open_clip", Format], Query(alias="format")]


@router.get("", dependencies=[needs("models:read")])
def list_models(
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = MAX_LIMIT,  # OpenAI's SDK does not ask for a second page of models
    order: Order = "desc",
) -> ListOf[ModelObject]:
    """Bases and the project's own models."""
    with services.database.read() as session:
        page = models.list_models(
            session, principal.project_id, after=after, order=order, limit=limit
        )
    return list_of([model_object(row) for row in page.items], page.has_more)


@router.get("/{model_id}", dependencies=[needs("models:read")])
def retrieve_model(model_id: str, principal: Authenticated, services: InServices) -> ModelObject:
    """One model."""
    return model_object(_get(services, principal, model_id))


@router.delete("/{model_id}", dependencies=[needs("models:write")], responses=documented(409))
async def delete_model(
    model_id: str, principal: Authenticated, services: InServices
) -> ModelDeleted:
    """A fine-tuned model is gone for its project, and from memory; a base is the operator's. One
    that an alias points at is kept."""
    unused = await run_in_threadpool(_delete, services, principal, model_id)
    if unused is not None:
        await forget(services.inference, stored_weights(services, unused))
    return ModelDeleted(id=model_id)


@router.get(
    "/{model_id}/weights",
    dependencies=[needs("models:read")],
    response_class=Response,
    responses=documented_download("application/x-tar"),
)
async def download_weights(
    model_id: str,
    request: Request,
    principal: Authenticated,
    services: InServices,
    wanted: WantedFormat = "open_clip",
) -> Response:
    """One uncompressed tar: weights, configuration, head, classes, model card. As `onnx` a graph
    with the head in it, as `transformers` a directory for CLIPModel.from_pretrained; these are
    made when they are first asked for, and refused for a model they cannot hold."""
    row = await run_in_threadpool(_get, services, principal, model_id)
    if wanted == "open_clip":
        stored = Stored(row.object_key, row.size, row.sha256, f"{row.id}.tar", TAR)
        return await run_in_threadpool(download, request, services.store, stored)
    exporting = export(services.inference, stored_weights(services, row), wanted)
    made = await unless_it_leaves(request.receive, exporting)
    served = ServedExports(
        services.settings.resolved_serving_url, services.settings.serving_timeout
    )
    stored = Stored(made.name, made.size, made.sha256, f"{row.id}.{wanted}.tar", TAR)
    return await run_in_threadpool(download, request, served, stored)


@router.get(
    "/{model_id}/files/{name:path}",
    dependencies=[needs("models:read")],
    response_class=Response,
    responses=documented_download("application/octet-stream"),
)
def download_model_file(
    model_id: str, name: str, request: Request, principal: Authenticated, services: InServices
) -> Response:
    """One file of the weights: a range of the tar, found by the row and by no path. A mixture's
    members lie in folders: `fine_tuned/head.safetensors`."""
    row = _get(services, principal, model_id)
    place = row.members.get(name)
    if place is None:
        raise NotFound(
            f"{row.id} has no file {shown(name)}; it has {', '.join(row.members)}.", param="name"
        )
    offset, size = place
    stored = Stored(row.object_key, size, f"{row.sha256}-{offset}", name, offset=offset)
    return download(request, services.store, stored)


def _delete(services: Services, principal: Principal, model_id: str) -> Model | None:
    """The model, where no other has the same weights."""
    with services.database.write() as session:
        row = models.delete(session, principal.project_id, model_id)
        audit.note(session, principal.actor, "model.delete", model_id)
        return None if models.has_twin(session, row) else row


def _get(services: Services, principal: Principal, model_id: str) -> Model:
    with services.database.read() as session:
        return models.get(session, principal.project_id, model_id, param="model_id")
