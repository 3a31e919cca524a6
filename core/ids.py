"""Public identifiers: short, random, with a prefix that says what they name.

Random rather than sequential, so that one tenant's ids say nothing of another's. A model id
matches `[A-Za-z0-9._:-]{1,96}` because that is what survives in a URL path written by the
`openai` SDK (a slash does not).
"""

from __future__ import annotations

import re
import secrets
import string

MODEL_ID = re.compile(r"[A-Za-z0-9._:-]{1,96}")
BASE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # never a colon, which every model id has
SUFFIX = re.compile(r"[A-Za-z0-9._-]{1,40}")

_ALPHABET = string.ascii_lowercase + string.digits
_RANDOM_LENGTH = 20  # characters; 36^20 > 2^103


def new_id(prefix: str) -> str:
    """A fresh identifier such as `ftjob-3f9c...`. `prefix` is written without the dash."""
    return f"{prefix}-{_random_text(_RANDOM_LENGTH)}"


def base_model_id(name: str) -> str:
    """`base:NAME`, the id under which a registered base is a model."""
    return f"base:{name}"


def fine_tuned_model_id(base_name: str, suffix: str | None, job_id: str) -> str:
    """`ft:NAME:SUFFIX:ID`; the suffix is empty when the user gave none, as in OpenAI's ids."""
    return f"ft:{base_name}:{suffix or ''}:{job_id.removeprefix('ftjob-')}"


def job_of_model(model_id: str) -> str | None:
    """The id of the job that makes, or made, a model of such an id; None for a base's or none."""
    parts = model_id.split(":")
    return f"ftjob-{parts[3]}" if parts[0] == "ft" and len(parts) > 3 and parts[3] else None


def checkpoint_model_id(model_id: str, step: int) -> str:
    """`...:step-N`, a checkpoint of a fine-tuned model, itself usable as a model."""
    return f"{model_id}:step-{step}"


def _random_text(length: int) -> str:
    number = secrets.randbelow(len(_ALPHABET) ** length)  # one draw: every request has an id
    text = []
    for _ in range(length):
        number, place = divmod(number, len(_ALPHABET))
        text.append(_ALPHABET[place])
    return "".join(text)
