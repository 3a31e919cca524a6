"""A task request's body, JSON or the image itself, as images and parameters."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from dataclasses import dataclass

from fastapi import Request

from api.bodies import Body, parse_json, read_body
from api.schemas.inference import DEFAULT_TEMPLATE, LabelParameters, Parameters, TaskRequest
from core.errors import InvalidRequest, TooLarge
from core.settings import MIB, Settings
from core.validation import shown

MAX_TEXTS = 20_000  # labels times templates: what one request may have encoded
# Each value of a JSON body holds the process up a little; base64, which may be long, has no commas.
MAX_COMMAS = 50_000
_BASE64_GROWTH = 4 / 3


@dataclass(frozen=True)
class TaskInput:
    """Images and what to do with them."""

    images: list[bytes]
    parameters: Parameters
    is_batch: bool = False  # a list was sent, so a list of lists is the answer

    @property
    def templates(self) -> list[str]:
        return templates_of(self.parameters)


@dataclass(frozen=True)
class TaskBody:
    """A body as it came.

    Where it does not say what it is, that is seen in the body: clients send images with any
    Content-Type or none, and no image begins with a brace.
    """

    content: bytes
    kind: str  # the Content-Type

    @property
    def is_json(self) -> bool:
        if self.kind.startswith(("application/json", "image/")):
            return self.kind.startswith("application/json")
        return self.content.lstrip()[:1] == b"{"

    def parse(self, model: type[Body]) -> Body:
        """The JSON as that model. Raises InvalidRequest naming every field at fault."""
        commas = self.content.count(b",")
        if commas > MAX_COMMAS:
            raise InvalidRequest(
                f"The JSON has {commas} commas, so about as many values; the most is "
                f"{MAX_COMMAS}. Send fewer labels, texts or images at once.",
                code="too_many_values",
            )
        return parse_json(self.content, model)


async def read_task_body(request: Request, settings: Settings) -> TaskBody:
    """The request's body, of an image's size at most. Raises TooLarge."""
    body = await read_body(request, int(settings.max_image_bytes * _BASE64_GROWTH) + MIB)
    return TaskBody(body, request.headers.get("content-type", "").lower())


def task_input(body: TaskBody, settings: Settings) -> TaskInput:
    """Images and parameters. Raises InvalidRequest and TooLarge."""
    if not body.is_json:
        check_image(body.content, settings)
        return TaskInput([body.content], Parameters())
    task = body.parse(TaskRequest)
    found = _with_labels(task)
    check_images(found.images, settings)
    check_texts(found.parameters, settings)
    return found


def check_images(images: list[bytes], settings: Settings) -> None:
    """Raises InvalidRequest for none or too many, and what `check_image` does."""
    if not 1 <= len(images) <= settings.max_request_images:
        raise InvalidRequest(
            f"inputs has {len(images)} images; send 1 to {settings.max_request_images}.",
            code="too_many_images",
            param="inputs",
        )
    for image in images:
        check_image(image, settings)


def check_image(image: bytes, settings: Settings) -> None:
    """Raises InvalidRequest for an empty image and TooLarge."""
    if not image:
        raise InvalidRequest(
            "The image is empty (0 bytes); send the image's bytes as the body, or JSON with "
            "base64 in inputs.",
            code="empty_image",
            param="inputs",
        )
    if len(image) > settings.max_image_bytes:
        raise TooLarge(
            f"The image has {len(image)} bytes; the most is {settings.max_image_bytes}.",
            code="image_too_large",
            param="inputs",
        )


def decode_image(text: str, param: str) -> bytes:
    """The bytes of base64, with or without a `data:` prefix. Raises InvalidRequest."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(
            f"{param} is {shown(text)}, which is not base64; send the image's bytes encoded as "
            "base64. Addresses are not fetched.",
            code="invalid_base64",
            param=param,
        ) from error


def templates_of(parameters: LabelParameters) -> list[str]:
    """The texts that labels are put into."""
    return parameters.templates or [parameters.hypothesis_template or DEFAULT_TEMPLATE]


def check_texts(parameters: LabelParameters, settings: Settings) -> None:
    """Raises InvalidRequest and TooLarge for labels and templates that are not to be encoded."""
    labels = parameters.candidate_labels
    if parameters.templates and parameters.hypothesis_template:
        raise InvalidRequest(
            "templates and hypothesis_template are both given; send one of them.",
            param="parameters.templates",
        )
    if labels is None:
        return
    param = "parameters.candidate_labels"
    most = settings.max_candidate_labels
    if not 2 <= len(labels) <= most:
        raise InvalidRequest(
            f"candidate_labels has {len(labels)} labels; send 2 to {most}.",
            code="wrong_number_of_labels",
            param=param,
        )
    if len(set(labels)) != len(labels):
        ((repeated, _times),) = Counter(labels).most_common(1)
        raise InvalidRequest(f"candidate_labels has {shown(repeated)} twice.", param=param)
    n_templates = len(templates_of(parameters))
    n_texts = len(labels) * n_templates
    if n_texts > MAX_TEXTS:
        raise TooLarge(
            f"{len(labels)} labels in {n_templates} templates are {n_texts} texts; the "
            f"most is {MAX_TEXTS}. Send fewer of either.",
            code="too_many_texts",
            param=param,
        )


def _with_labels(task: TaskRequest) -> TaskInput:
    inputs = task.inputs
    if isinstance(inputs, str):
        return TaskInput([decode_image(inputs, "inputs")], task.parameters)
    if isinstance(inputs, list):
        images = [decode_image(text, f"inputs.{place}") for place, text in enumerate(inputs)]
        return TaskInput(images, task.parameters, is_batch=True)
    parameters = task.parameters
    if parameters.candidate_labels is None:
        parameters = parameters.model_copy(update={"candidate_labels": inputs.candidate_labels})
    return TaskInput([decode_image(inputs.image, "inputs.image")], parameters)
