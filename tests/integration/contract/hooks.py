"""What schemathesis cannot know of this service: checks of our own, and what a run must not touch.

Loaded by `schemathesis run`, in its own process; `CONTRACT_SEEDS` names the file of the ids that
the run begins with, `CONTRACT_ANSWERS` the file that says what was answered.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

SEEDS: dict[str, Any] = json.loads(Path(os.environ["CONTRACT_SEEDS"]).read_text(encoding="utf-8"))
ANSWERS = Path(os.environ["CONTRACT_ANSWERS"])
UNAVAILABLE = (503, 507)

# What takes something away, or limits it.
_ENDING = {
    "delete_file",
    "delete_model",
    "delete_webhook",
    "cancel_upload",
    "revoke_key",
    "rotate_key",
    "limit_key",
    "limit_project",
}


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Examples are of what there is here, not of what there was where they were recorded."""
    for path in raw_schema["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                for content in answer.get("content", {}).values():
                    content.pop("example", None)
            asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            asked.pop("example", None)
            if operation["operationId"] in SEEDS["plain"]:
                asked["example"] = SEEDS["plain"][operation["operationId"]]


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Requests that would end the run, or leave the machine, become harmless ones."""
    name = str(case.operation.definition.raw["operationId"])
    asked = case.path_parameters
    if {"stream", "follow"} & case.query.keys() and "job_id" in asked:
        asked["job_id"] = SEEDS["ended_job"]  # no worker runs: streams of others would not end
    if name in _ENDING or _disables(case):
        for parameter, value in asked.items():
            if value in SEEDS["kept"]:
                asked[parameter] = "another"
    if name in SEEDS["plain"] and _is_good_step(case):
        case.body = dict(SEEDS["plain"][name])
    if isinstance(case.body, dict) and str(case.body.get("url")).lower().startswith("http"):
        case.body["url"] = SEEDS["hook"]  # an address: no resolver is asked for a name


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Response) -> None:
    """Says what was answered to what."""
    with ANSWERS.open("a", encoding="utf-8") as file:
        file.write(f"{response.status_code} {case.operation.label}\n")


@schemathesis.check
def unavailable_says_when(ctx: CheckContext, response: Response, case: Case) -> None:
    """503 and 507 are documented for the operation and say when to come again."""
    if response.status_code in UNAVAILABLE:
        assert str(response.status_code) in case.operation.responses.status_codes
        (seconds,) = response.headers["retry-after"]
        assert seconds.isdigit() and int(seconds) > 0


@schemathesis.check
def status_is_named(ctx: CheckContext, response: Response, case: Case) -> None:
    """`default` is the shape of faults that no operation knows of; what it answers it names."""
    if response.status_code != 405:  # another method is another operation
        assert str(response.status_code) in case.operation.responses.status_codes


@schemathesis.check
def refused_for_what_it_means(ctx: CheckContext, response: Response, case: Case) -> None:
    """A request that fits the document may name what there is not, but fits the service too."""
    meta = case.meta
    if response.status_code == 400 and meta is not None and meta.generation.mode.is_positive:
        code = response.json()["error"]["code"]
        assert code not in ("invalid_request", "invalid_json", "unknown_field"), response.text


def _disables(case: Case) -> bool:
    """A webhook: what is disabled is sent nothing again."""
    return isinstance(case.body, dict) and case.body.get("status") == "disabled"


def _is_good_step(case: Case) -> bool:
    """Of a sequence. What is drawn mostly cannot be made, and then nothing could follow."""
    meta = case.meta
    if meta is None or meta.phase.name.value != "stateful":
        return False
    return bool(meta.generation.mode.is_positive)
