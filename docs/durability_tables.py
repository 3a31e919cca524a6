"""The tables of docs/durability.md, made of what a run of chaos recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.learning.report import markdown_table

# Where a job can be struck, in the order in which it goes through it.
AIMS = {
    "checking": "the files are checked",
    "starting": "the trainer starts",
    "preparing": "preparing",
    "zero_shot": "zero-shot",
    "training": "training",
    "checkpoint_write": "a checkpoint is written",
    "combining": "combining",
    "evaluating": "evaluating",
    "exporting": "exporting",
    "artifact_upload": "an artifact is uploaded",
    "publication": "the result is published",
    "purge": "the sweeper deletes",
}


def checks(text: str) -> str:
    """Every promise, what was looked at, and whether it held."""
    found = json.loads(text)
    rows = [
        [check["name"], f"{check['checked']:,}".replace(",", " "), _held(check)]
        for check in found["checks"]
    ]
    table = markdown_table(["what was checked afterwards", "of", "held"], rows)
    broken = [
        f"- {check['name']}: `{line}`" for check in found["checks"] for line in check["broken"][:10]
    ]
    return "\n".join([table, "", _caption(found), *(["", *broken] if broken else [])])


def faults(text: str) -> str:
    """Faults by kind, and by what they hit."""
    found = json.loads(text)["faults"]
    aims = [aim for aim in AIMS if aim in found["aims"]]
    short = [aim.replace("_", " ") for aim in aims]
    rows = []
    for kind, row in found["table"].items():
        total = str(found["kinds"][kind])
        rows.append([kind.replace("_", " "), *(str(row.get(aim, "")) for aim in aims), total])
    totals = [str(found["aims"][aim]) for aim in aims]
    rows.append(["all", *totals, str(sum(found["kinds"].values()))])
    return markdown_table(["fault", *short, "all"], rows)


def _held(check: Mapping[str, Any]) -> str:
    return "yes" if not check["broken"] else f"**no, {len(check['broken'])} times**"


def _caption(found: Mapping[str, Any]) -> str:
    jobs, machine = found["jobs"], found["machine"]
    ends = ", ".join(f"{count} {status}" for status, count in jobs["by_status"].items())
    methods = ", ".join(f"{count} {method}" for method, count in jobs["by_method"].items())
    struck = sum(found["faults"]["kinds"].values())
    planned = "" if struck == found["planned"] else f" of {found['planned']} planned"
    parts = ""
    if len(found["parts"]) > 1:
        began = ", ".join(
            f"after {part['at'] / 60:.0f} minutes at commit {part['commit']}"
            for part in found["parts"][1:]
        )
        first = found["parts"][0]["commit"]
        parts = f" It began at commit {first}, was interrupted and gone on with {began}."
    left_out = ""
    if found["left_out"]:
        left_out = f" Left out, for want of small disks: {', '.join(found['left_out'])}."
    return (
        f"{struck} faults{planned} over {jobs['count']} jobs ({ends}; {methods}), which took "
        f"{jobs['attempts']} attempts, one of them {jobs['most_attempts']}. "
        f"`{found['command']}`, {found['seconds'] / 60:.0f} minutes; commit {found['commit']}, "
        f"{found['date']}; {machine['cores']} cores ({machine['processor']}), {machine['system']}, "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}; load average "
        f"{found['load'][0]} at the end.{parts}{left_out}"
    )
